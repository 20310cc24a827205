"""A KMIP client of the stories, on PyKMIP: one JSON object a line on stdout, errors too, so that nothing is guessed.

usage: client.py --endpoint HOST:PORT [--endpoint ...] --cert FILE --key FILE --ca FILE COMMAND [...]
"""
import argparse
import hashlib
import json
import logging
import sys
import time

from kmip import enums
from kmip.pie.client import ProxyKmipClient

# The library logs what the lines on stdout tell already, and that it found no configuration file, which it needs not.
logging.disable(logging.CRITICAL)
# What goes wrong is said in the answers; the library would say it once more, and that it found no settings of its own.
logging.disable(logging.CRITICAL)
VERSIONS = {version.name: version for version in enums.KMIPVersion}


def connect(options, endpoint):
    host, _, port = endpoint.rpartition(":")
    client = ProxyKmipClient(
        hostname=host, port=int(port), cert=options.cert, key=options.key, ca=options.ca,
        kmip_version=VERSIONS["KMIP_" + options.version.replace(".", "_")],
    )
    # The library waits 30 s by default; a lost site must not hold a writer that long.
    client.proxy.timeout = options.timeout
    client.open()
    return client


def say(**fields):
    print(json.dumps(fields), flush=True)


def digest(key):
    return hashlib.sha256(key.value).hexdigest()


def make(client, name):
    usage = [enums.CryptographicUsageMask.ENCRYPT, enums.CryptographicUsageMask.DECRYPT]
    return client.create(enums.CryptographicAlgorithm.AES, 256, name=name, cryptographic_usage_mask=usage)


class Writer:
    """Writes to the first endpoint that answers and goes on to the next when one fails."""

    def __init__(self, options):
        self.options, self.at, self.client = options, 0, None

    def create(self, name):
        begin = time.monotonic()
        endpoint = self.options.endpoint[self.at]
        try:
            if self.client is None:
                self.client = connect(self.options, endpoint)
            identifier = make(self.client, name)
            say(id=identifier, endpoint=endpoint, ms=round(1000 * (time.monotonic() - begin)))
        except Exception as error:
            say(error=f"{type(error).__name__}: {error}", endpoint=endpoint)
            self.drop()
            self.at = (self.at + 1) % len(self.options.endpoint)

    def drop(self):
        client, self.client = self.client, None
        try:
            if client is not None:
                client.close()
        except Exception:
            pass


def loop(options):
    writer, end = Writer(options), time.monotonic() + options.seconds
    for number in range(options.count):
        if time.monotonic() > end:
            break
        begin = time.monotonic()
        writer.create(f"{options.name}-{number}")
        time.sleep(max(0, begin + options.every - time.monotonic()))
    writer.drop()


def create(options, client):
    identifier = make(client, options.name)
    say(id=identifier, digest=digest(client.get(identifier)))


def read(options, client):
    """Identifiers on stdin, one a line."""
    for identifier in sys.stdin.read().split():
        try:
            say(id=identifier, digest=digest(client.get(identifier)))
        except Exception as error:
            say(id=identifier, error=f"{type(error).__name__}: {error}")


def get(options, client):
    say(id=options.id, digest=digest(client.get(options.id)))


def material(options, client):
    """The bytes themselves, for the story that makes sure that nothing else ever shows them."""
    say(id=options.id, hex=client.get(options.id).value.hex())


def locate(options, client):
    factory = client.attribute_factory
    for identifier in client.locate(attributes=[factory.create_attribute(
            enums.AttributeType.NAME, enums_name(options.name))]):
        say(id=identifier)


def enums_name(value):
    from kmip.core.attributes import Name
    return Name.create(value, enums.NameType.UNINTERPRETED_TEXT_STRING)


def attributes(options, client):
    identifier, values = client.get_attributes(options.id)
    say(id=identifier, attributes=[value.attribute_name.value for value in values])


def activate(options, client):
    client.activate(options.id)
    say(id=options.id, done="activate")


def revoke(options, client):
    client.revoke(enums.RevocationReasonCode.CESSATION_OF_OPERATION, options.id)
    say(id=options.id, done="revoke")


def destroy(options, client):
    client.destroy(options.id)
    say(id=options.id, done="destroy")


COMMANDS = {f.__name__: f for f in (create, read, get, material, locate, attributes, activate, revoke, destroy)}


def parse():
    parser = argparse.ArgumentParser(description="KMIP client on PyKMIP; prints one JSON object a line")
    parser.add_argument("--endpoint", action="append", required=True, help="HOST:PORT; several for `loop`")
    for name in ("cert", "key", "ca"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--version", default="1.2")
    parser.add_argument("--timeout", type=float, default=5, help="seconds")
    parser.add_argument("--name", default="key")
    parser.add_argument("--id")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--every", type=float, default=0, help="seconds from one request of loop to the next, at least")
    parser.add_argument("command", choices=["loop", *COMMANDS])
    return parser.parse_args()


def main():
    options = parse()
    if options.command == "loop":
        return loop(options)
    try:
        client = connect(options, options.endpoint[0])
        COMMANDS[options.command](options, client)
        client.close()
    except Exception as error:
        say(error=f"{type(error).__name__}: {error}", endpoint=options.endpoint[0])
        sys.exit(1)


main()
