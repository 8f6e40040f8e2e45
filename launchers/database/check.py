"""Check whether the database can be used; errors say in one sentence why not."""

from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, OperationFailure, PyMongoError

from launchers.database.errors import DatabaseNotReplicaSet, DatabaseSilent, DatabaseUnreachable
from launchers.database.launchpad_file import EMBEDDED_USER
from launchers.database.settings import DatabaseSettings

# Together under five seconds: the driver looks for a server, then each named server is queried once.
SELECTION_MS = 3000
LOCAL_SELECTION_MS = 1500  # a database on this machine answers immediately or not at all
PROBE_MS = 1000
AUTHENTICATION_FAILED = 18
UNAUTHORIZED = 13


def check_database(settings: DatabaseSettings) -> None:
    """Check, within about five seconds, that the database responds, accepts the login and has transactions.

    Raises
    ------
    DatabaseUnreachable
        If no server responds, or user, password or TLS are refused; one sentence with host and port.
    DatabaseNotReplicaSet
        If the server is standalone.
    """
    limits = {
        "serverSelectionTimeoutMS": LOCAL_SELECTION_MS if settings.is_local else SELECTION_MS,
        "connectTimeoutMS": SELECTION_MS,
        "socketTimeoutMS": SELECTION_MS,
    }
    try:
        with settings.client(**limits) as client:
            hello = client.admin.command("hello")
            client[settings.name].list_collection_names()
    except OperationFailure as error:
        raise DatabaseUnreachable(_refusal(settings, error.code)) from None
    except ConfigurationError as error:  # a mongodb+srv name that does not resolve
        raise DatabaseUnreachable(
            f"MongoDB at {settings.address} cannot be found: {settings.redacted(error)}"
        ) from None
    except PyMongoError as error:
        if "refused" not in str(error):
            _explain_other_set(settings)
        raise DatabaseSilent(_silence(settings, str(error))) from None
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise DatabaseNotReplicaSet(_standalone(settings.address))


def _refusal(settings: DatabaseSettings, code: int | None) -> str:
    if settings.user is None:
        own = ", or let `campaign db start` do so where it is the project's own" if settings.is_local else ""
        return (
            f"MongoDB at {settings.address} asks for a user and a password, and none are given: "
            f"add them to my_launchpad.yaml{own}"
        )
    if settings.user == EMBEDDED_USER:
        return (
            f"MongoDB at {settings.address} refused the login of an embedded database in my_launchpad.yaml: "
            "`campaign db start` writes the right one where it is the project's own"
        )
    if code == AUTHENTICATION_FAILED:
        source = settings.authsource or ("the URI's authSource" if settings.uri_mode else settings.name)
        return (
            f"MongoDB at {settings.address} refused user {settings.user!r} or the password: check both, "
            f"and authsource (now {source}), in my_launchpad.yaml"
        )
    if code == UNAUTHORIZED:
        return (
            f"MongoDB at {settings.address} does not let user {settings.user!r} use the database "
            f"{settings.name!r}: ask for the role readWrite on it"
        )
    return f"MongoDB at {settings.address} refused to answer (its error code {code})"


def _silence(settings: DatabaseSettings, detail: str) -> str:
    """Return why no server responded, from the driver's message."""
    low = detail.lower()
    if "ssl" in low or "certificate" in low or "tls" in low.replace("tlsv", ""):
        reason = "TLS failed: " + _tls_reason(low)
    elif "refused" in low:
        reason = "the connection was refused"
        reason += "; start that server or its tunnel, or the project's own with `campaign db start`" * settings.is_local
    elif "name or service" in low or "name resolution" in low or "nodename" in low or "no address" in low:
        reason = "there is no host with that name"
    elif "connection closed" in low or "reset by peer" in low:
        reason = "it closed the connection; does it want TLS (mongoclient_kwargs: {tls: true})?"
    elif "primary" in low:
        reason = "no member of its replica set accepts writes now"
    else:
        reason = "no answer came in time"
    return f"MongoDB at {settings.address} cannot be reached: {reason}"


def _tls_reason(detail: str) -> str:
    if "hostname" in detail or "ip address mismatch" in detail:
        return "the server's certificate is for another host name"
    if "certificate_verify_failed" in detail or "certificate verify failed" in detail:
        return "the server's certificate is not signed by a known authority (tlsCAFile in mongoclient_kwargs)"
    if "certificate required" in detail or "handshake failure" in detail:
        return "the server wants a certificate of ours (tlsCertificateKeyFile in mongoclient_kwargs)"
    return "does the server speak TLS at this port?"


def _explain_other_set(settings: DatabaseSettings) -> None:
    """Raise if a server responds but is not a member of the requested replica set."""
    if settings.replica_set is None:
        return
    for host, port in settings.seeds:
        hello = _ask(settings, host, port)
        if hello is None:
            continue
        where = host if port is None else f"{host}:{port}"
        if "setName" not in hello and "isreplicaset" not in hello:
            raise DatabaseNotReplicaSet(_standalone(where))
        if hello.get("setName", settings.replica_set) != settings.replica_set:
            raise DatabaseUnreachable(
                f"MongoDB at {where} belongs to the replica set {hello['setName']!r}, and my_launchpad.yaml "
                f"asks for {settings.replica_set!r}: change replicaSet there"
            )
        if "setName" not in hello:
            raise DatabaseUnreachable(
                f"MongoDB at {where} was started with --replSet, but its replica set was never initiated: "
                "run rs.initiate() there once"
            )


def _ask(settings: DatabaseSettings, host: str, port: int | None) -> dict[str, Any] | None:
    """Query a server for its identity without logging in."""
    tls = {key: value for key, value in settings.options.items() if key.startswith("tls")}
    try:
        with MongoClient[dict[str, Any]](
            host, port, directConnection=True, serverSelectionTimeoutMS=PROBE_MS, connectTimeoutMS=PROBE_MS, **tls
        ) as client:
            return client.admin.command("hello")
    except PyMongoError:
        return None  # reported by the caller's own error


def _standalone(where: str) -> str:
    return (
        f"MongoDB at {where} is a standalone server, but campaigns need transactions, which require a replica set: "
        "restart it with --replSet rs0 and run rs.initiate() there once, or use the embedded database (`campaign db "
        "start`)"
    )
