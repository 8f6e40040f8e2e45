"""vasp-gpaw's files as a release of VASP would have written them: headers, titles, names; the numbers stay."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from vasp_stand_in.inputs import Inputs
from vasp_stand_in.versions import Release

_RULE = "-" * 104
_ORBITALS = ("s", "py", "pz", "px", "dxy", "dyz", "dz2", "dxz")
#: Lines of OUTCAR that vasp-gpaw alone writes.
_OURS = re.compile(r"^ (vasp-gpaw|POTCAR|k-point mesh|smearing|tags without an effect here)\b.*\n", re.MULTILINE)
_FAULTS = """
                          Minor page faults:        33453
                          Major page faults:            0
                 Voluntary context switches:         1022
"""


def as_vasp(files: Mapping[str, str], inputs: Inputs, release: Release, *, ranks: int) -> dict[str, str]:
    """Return the texts of output files as a release writes them."""
    written = dict(files)
    written["vasprun.xml"] = _vasprun(files["vasprun.xml"], inputs, release)
    written["DOSCAR"] = _doscar(files["vasprun.xml"], inputs)
    written["OUTCAR"] = _outcar(files["OUTCAR"], inputs, release, ranks=ranks)
    return written


def _vasprun(text: str, inputs: Inputs, release: Release) -> str:
    text = _replace_block(text, "generator", _generator(release))
    text = _replace_block(text, "incar", _incar(inputs.tags))
    if "ENCUT" in inputs.tags:
        text = re.sub(r'(<i name="ENMAX">)[^<]*', rf"\g<1>{float(inputs.tags['ENCUT']):16.8f}", text)
    for title in inputs.titles:
        symbol = title.split()[1]
        text = text.replace(f"<c>PAW_PBE {symbol} GPAW</c>", f"<c>  {escape(title):38s} </c>")
    # the DOS of the sites, with the fields' names in five columns
    head, partial, dos = text.partition("<partial>")
    dos = dos.replace(
        '<dimension dim="1">row</dimension>',
        '<dimension dim="1">gridpoints</dimension>\n'
        '     <dimension dim="2">spin</dimension>\n     <dimension dim="3">ion</dimension>',
        1,
    )
    for orbital in _ORBITALS:
        dos = dos.replace(f"<field>{orbital}</field>", f"<field>{orbital:>5s}</field>", 1)
    dos = dos.replace("<field>x2-y2</field>", f"<field>{release.x2_y2:>5s}</field>", 1)
    return head + partial + dos


def _replace_block(text: str, name: str, lines: list[str]) -> str:
    block = f" <{name}>\n" + "".join(f"  {line}\n" for line in lines) + f" </{name}>"
    return re.sub(rf" <{name}>.*?</{name}>", lambda _: block, text, count=1, flags=re.DOTALL)


def _generator(release: Release) -> list[str]:
    return [
        '<i name="program" type="string">vasp </i>',
        f'<i name="version" type="string">{release.version}  </i>',
        f'<i name="subversion" type="string">{release.subversion} </i>',
        '<i name="platform" type="string">LinuxIFC </i>',
        '<i name="date" type="string">2026 11 30 </i>',
        '<i name="time" type="string">20:00:00 </i>',
    ]


def _incar(tags: Mapping[str, str]) -> list[str]:
    return [_incar_line(name, value) for name, value in tags.items()]


def _incar_line(name: str, value: str) -> str:
    if name == "MAGMOM":
        numbers: list[str] = []
        for word in value.split():
            count, _, each = word.rpartition("*")
            numbers += [f"{float(each):16.8f}"] * int(count or 1)
        return f'<v name="MAGMOM">{"".join(numbers)}</v>'
    if (word := value.strip(".").upper()) in ("T", "F", "TRUE", "FALSE"):
        return f'<i type="logical" name="{name}"> {word[0]}  </i>'
    if re.fullmatch(r"[+-]?\d+", value) and name not in ("ENCUT", "EMIN", "EMAX", "SIGMA", "EDIFFG"):
        return f'<i type="int" name="{name}">{int(value):6d}</i>'
    try:
        return f'<i name="{name}">{float(value):16.8f}</i>'
    except ValueError:
        return f'<i type="string" name="{name}">{escape(value)}</i>'


def _outcar(text: str, inputs: Inputs, release: Release, *, ranks: int) -> str:
    body = _OURS.sub("", text.split("\n", 3)[3])
    echo = "".join(f"   {name} = {value}\n" for name, value in inputs.tags.items()) if release.echoes_incar else ""
    potcars = "".join(f" POTCAR:   {title:38s}\n" for title in inputs.titles)
    titles = "".join(f" POTCAR:   {title:38s}\n   TITEL  = {title:71s}\n" for title in inputs.titles)
    head = (
        f"{release.banner}\n  \n executed on             LinuxIFC date 2026.11.30  20:00:00\n"
        f"{release.division(ranks)}\n\n{_RULE}\n\n\n INCAR:\n{echo}{potcars}\n{titles}\n"
    )
    return head + body.rstrip("\n") + "\n" + _FAULTS


def _doscar(vasprun: str, inputs: Inputs) -> str:
    """The total DOS of a vasprun.xml as a DOSCAR has it."""
    _, _, dos = vasprun.partition("<dos>")
    total = dos.partition("</total>")[0]
    spins = [re.findall(r"<r>([^<]*)</r>", part) for part in total.split('comment="spin')[1:]]
    rows = [[[float(word) for word in row.split()] for row in rows] for rows in spins]
    energies = [row[0] for row in rows[0]]
    found = re.search(r'name="efermi">\s*(\S+)<', dos)
    fermi = float(found[1]) if found else 0.0
    atoms = sum(inputs.counts)
    lines = [
        f"{atoms:4d}{atoms:4d}   0   0",
        " ".join(f"{0.0:15.7E}" for _ in range(5)),
        "  1.000000000000000E-004",
        "  CAR ",
        " unknown system",
        f"{energies[-1]:16.8f}{energies[0]:16.8f}{len(energies):5d}{fermi:16.8f}{1.0:16.8f}",
    ]
    for number, energy in enumerate(energies):
        densities = [spin[number][1] for spin in rows] + [spin[number][2] for spin in rows]
        lines.append(f"{energy:11.3f}" + "".join(f"{density:12.4E}" for density in densities))
    return "\n".join(lines) + "\n"
