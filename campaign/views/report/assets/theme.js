"use strict";
// The browser's light or dark mode, for whatever is drawn by a script.
const darkMode = window.matchMedia("(prefers-color-scheme: dark)");

function cssColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
