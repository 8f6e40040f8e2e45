"""A Materials Project on this machine: the REST interface and the S3 buckets that mp-api reads, over real HTTP.

The answers have the shape of those that mp-api 0.46.5 expects (its endpoints, document models and delta tables); their
content is made here, with few elements of the periodic table and small cells.
"""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from urllib.request import Request, urlopen
from xml.sax.saxutils import escape

BUCKET = "materialsproject-parsed"
TABLES = {"total": "core/electronic-structure/total-dos", "projected": "core/electronic-structure/projected-dos"}
HEARTBEAT = {"version": "0.87.3", "db_version": "2026.10.1", "access_controlled_batch_ids": []}


@dataclass
class Service:
    """What the service holds, what it was asked, and how it is to fail.

    Attributes
    ----------
    folder
        Holds the buckets.
    documents
        By the path of their endpoint.
    requests
        Path and query of every request.
    keys
        API keys that came with REST requests.
    failures
        Status codes that the next REST requests are answered with, e.g. 429.
    objects_left
        Requests for densities that are still answered; None: all.
    """

    folder: Path
    documents: dict[str, list[dict[str, Any]]]
    requests: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    objects_left: int | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class ServerProcess:
    """The service in a process of its own: deltalake keeps Python's lock while it waits for an answer."""

    def __init__(self, answers: Path, folder: Path) -> None:
        command = [sys.executable, __file__, str(answers), str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def fail(self, *, failures: Sequence[int] = (), objects_left: int | None = None) -> None:
        """Say how the next requests are answered, and forget the ones so far."""
        body = json.dumps({"failures": list(failures), "objects_left": objects_left}).encode()
        urlopen(Request(f"{self.url}control", data=body, method="POST"), timeout=10).close()

    def asked(self) -> dict[str, Any]:
        """Requests and keys since the last `fail`."""
        with urlopen(f"{self.url}control", timeout=10) as answer:
            return json.load(answer)

    def stop(self) -> None:
        """End the process."""
        self.process.terminate()
        self.process.wait(timeout=30)


def complete_dos(document: dict[str, Any]) -> Any:
    """pymatgen's CompleteDos of an entry of densities.json: Gaussian bands, one for each site, spin and orbital."""
    import numpy as np
    from pymatgen.core import Lattice, Structure
    from pymatgen.electronic_structure.core import Orbital, Spin
    from pymatgen.electronic_structure.dos import CompleteDos, Dos

    structure = Structure(Lattice.cubic(document["a"]), document["species"], document["positions"])
    energies = np.linspace(*document["window"], document["n_energies"])
    spins = (Spin.up, Spin.down)[: document["n_spins"]]
    pdos = {
        site: {
            Orbital(place): {
                spin: (1 + place / 9) * np.exp(-((energies - document["center"] - int(spin) - number) ** 2))
                for spin in spins
            }
            for place in range(9)
        }
        for number, site in enumerate(structure)
    }
    total = {
        spin: sum(orbitals[Orbital(place)][spin] for orbitals in pdos.values() for place in range(9)) for spin in spins
    }
    return CompleteDos(structure, Dos(document["efermi"], energies, total), pdos)


def write_tables(folder: Path, densities: dict[str, dict[str, Any]]) -> None:
    """Lay the delta tables of densities.json into a folder, as they lie in the bucket."""
    import pyarrow as pa
    from deltalake import write_deltalake
    from emmet.core.band_theory import ElectronicDos, ProjectedDos
    from emmet.core.mpid import AlphaID

    total, projected = [], []
    for task_id, document in densities.items():
        # as the client looks them up
        identifier = str(AlphaID(task_id.split("-")[-1], padlen=8))
        made = ElectronicDos.from_pmg(complete_dos(document), identifier=identifier, run_type="GGA")
        row = made.model_dump(mode="json")
        projections = row.pop("projected_densities")
        total.append(row)
        if document.get("projected", True):
            projected.append({**projections, "identifier": identifier, "run_type": "GGA"})
    columns = _columns(ElectronicDos)
    del columns["projected_densities"]
    named = {"identifier": pa.string(), "run_type": pa.string()}
    for name, rows, schema in (("total", total, columns), ("projected", projected, named | _columns(ProjectedDos))):
        table = pa.Table.from_pylist(rows, schema=pa.schema(list(schema.items())))
        write_deltalake(str(folder / BUCKET / TABLES[name]), table, partition_by=["run_type"])


def _columns(model: type) -> dict[str, Any]:
    import pyarrow as pa
    from emmet.core.arrow import arrowize

    return {field.name: field.type for field in pa.schema(arrowize(model))}


def serve(answers: Path, folder: Path) -> None:
    """Serve on a free port of 127.0.0.1, print the address of the REST interface, and go on until terminated."""
    service = Service(
        folder,
        {
            f"/materials/{name}/": json.loads((answers / f"{name}.json").read_text())["data"]
            for name in ("summary", "electronic_structure", "thermo")
        },
    )

    class Handler(_Handler):
        project = service

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}/\n")
    sys.stdout.flush()
    server.serve_forever()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    project: Service

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.project.lock:
            self.project.failures, self.project.objects_left = said["failures"], said["objects_left"]
            self.project.requests, self.project.keys = [], []
        self._json(200, {})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/control":
            self._json(200, {"requests": self.project.requests, "keys": self.project.keys})
            return
        with self.project.lock:
            self.project.requests.append(self.path)
        if url.path.startswith(f"/{BUCKET}"):
            self._s3(unquote(url.path), query)
        elif url.path == "/heartbeat":
            self._json(200, HEARTBEAT)
        else:
            self._rest(url.path, query)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _rest(self, path: str, query: dict[str, str]) -> None:
        with self.project.lock:
            self.project.keys.append(self.headers.get("x-api-key"))
            status = self.project.failures.pop(0) if self.project.failures else 200
        documents = self.project.documents.get(path)
        if status != 200 or documents is None:
            self._json(status if status != 200 else 404, {"detail": f"made to answer {status}"})
            return
        chosen = [document for document in documents if _matches(document, query)]
        skip, limit = int(query.get("_skip", 0)), int(query.get("_limit", 100))
        fields = query["_fields"].split(",") if "_fields" in query else None
        page = [
            {name: value for name, value in document.items() if fields is None or name in fields}
            for document in chosen[skip : skip + limit]
        ]
        self._json(200, {"data": page, "meta": {"total_doc": len(chosen)}})

    def _s3(self, path: str, query: dict[str, str]) -> None:
        if "list-type" in query:
            self._listing(query.get("prefix", ""))
            return
        with self.project.lock:
            if self.project.objects_left is not None and path.endswith(".parquet"):
                self.project.objects_left -= 1
                if self.project.objects_left < 0:
                    self._bytes(403, b"<Error><Code>AccessDenied</Code></Error>", "application/xml")
                    return
        file = self.project.folder / path.lstrip("/")
        if not file.is_file():
            self._bytes(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
            return
        content = file.read_bytes()
        headers = {
            "ETag": f'"{file.stat().st_mtime_ns:x}"',
            "Last-Modified": self.date_time_string(int(file.stat().st_mtime)),
            "Accept-Ranges": "bytes",
        }
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
            self._bytes(200, content, "application/octet-stream", headers)
            return
        first = int(wanted[1]) if wanted[1] else max(0, len(content) - int(wanted[2]))
        last = min(int(wanted[2]), len(content) - 1) if wanted[1] and wanted[2] else len(content) - 1
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        self._bytes(206, content[first : last + 1], "application/octet-stream", headers)

    def _listing(self, prefix: str) -> None:
        root = self.project.folder / BUCKET
        files = sorted(path for path in root.rglob("*") if path.is_file())
        entries = "".join(
            f"<Contents><Key>{escape(quote(key))}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<ETag>&quot;0&quot;</ETag><Size>{path.stat().st_size}</Size></Contents>"
            for path in files
            if (key := path.relative_to(root).as_posix()).startswith(prefix)
        )
        text = f"<ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>"
        self._bytes(200, text.encode(), "application/xml")

    def _json(self, status: int, content: Any) -> None:
        self._bytes(status, json.dumps(content).encode(), "application/json")

    def _bytes(self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _matches(document: dict[str, Any], query: dict[str, str]) -> bool:
    if "material_ids" in query and document["material_id"] not in query["material_ids"].split(","):
        return False
    if "thermo_types" in query and document["thermo_type"] not in query["thermo_types"].split(","):
        return False
    if "chemsys" in query and document["chemsys"] not in query["chemsys"].split(","):
        return False
    if (
        "energy_above_hull" in document
        and float(query.get("energy_above_hull_max", 99)) < document["energy_above_hull"]
    ):
        return False
    if "elements" in query and not set(query["elements"].split(",")) <= set(document["elements"]):
        return False
    return int(query.get("nelements_min", 0)) <= document["nelements"] <= int(query.get("nelements_max", 99))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
