"""Workers that reach the database through another machine only: the recipe of docs/how-to/nodes-without-database.md."""

import subprocess
import sys
import uuid

import pytest
from fireworks import Firework, ScriptTask

from launchers.cluster.proxy import address
from launchers.database.check import check_database
from launchers.database.settings import DatabaseSettings, DatabaseUnreachable


@pytest.mark.parametrize("text", ["", "host", ":1", "host:", "host:x", "host:70000"])
def test_an_address_without_host_or_port_is_refused(text):
    with pytest.raises(ValueError, match="should be host:port"):
        address(text)


def test_addresses_are_read():
    assert address("login1:27018") == ("login1", 27018)
    assert address("[::1]:27018") == ("::1", 27018)


@pytest.mark.mongo
def test_a_worker_behind_the_proxy_has_transactions_and_loses_them_with_it(
    database, free_port, tmp_path, write_launchpad
):
    launchpad = database.launchpad()
    launchpad.reset("", require_password=False)
    (fw_id,) = launchpad.add_wf(Firework([ScriptTask.from_str("true")])).values()
    port = free_port()
    command = [sys.executable, "-m", "launchers.cluster.proxy", "--listen", f"127.0.0.1:{port}"]
    proxy = subprocess.Popen([*command, "--to", database.address], stderr=subprocess.PIPE, text=True)
    try:
        assert "listening on" in proxy.stderr.readline()
        # directConnection: with replicaSet= the driver would go to the address that the server gives, past the proxy
        to = database.seeds[0][1]
        options = "directConnection=true"
        file = write_launchpad(tmp_path, port=port, name=database.name, options=options, proxy_of=to)
        settings = DatabaseSettings.from_file(file)
        check_database(settings)
        with settings.client() as client, client.start_session() as session:
            with session.start_transaction():
                client[settings.name]["moves"].insert_one({"_id": uuid.uuid4().hex}, session=session)
            assert client[settings.name]["moves"].count_documents({}) == 1
        command = [sys.executable, "-m", "fireworks.scripts.rlaunch_run", "-l", str(file), "singleshot"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
        assert launchpad.fireworks.find_one({"fw_id": fw_id})["state"] == "COMPLETED"
    finally:
        proxy.terminate()
        assert proxy.wait(30) == 0
        proxy.stderr.close()
    with pytest.raises(DatabaseUnreachable):
        check_database(settings)
