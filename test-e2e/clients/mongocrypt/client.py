"""What MongoDB's drivers do with a KMIP server: libmongocrypt, the library that all of them share, makes a data key, encrypts
a value under it, and a second client, which knows only the data key's document, reads the value. Prints one JSON object.

usage: client.py -endpoint HOST:PORT -cert FILE -key FILE -ca FILE [-delegated]
"""
import argparse
import json
import socket
import ssl
import sys

import bson
from pymongocrypt.explicit_encrypter import ExplicitEncrypter
from pymongocrypt.mongocrypt import MongoCryptOptions
from pymongocrypt.state_machine import MongoCryptCallback

DETERMINISTIC = "AEAD_AES_256_CBC_HMAC_SHA_512-Deterministic"


class Callback(MongoCryptCallback):
    """The part that a driver has: connections to the KMIP server, and the collection of data keys."""

    def __init__(self, options, vault):
        self.options, self.vault, self.requests = options, vault, 0

    def kms_request(self, kms_context):
        self.requests += 1
        host, port = kms_context.endpoint.rsplit(":", 1)
        context = ssl.create_default_context(cafile=self.options.ca)
        context.load_cert_chain(self.options.cert, self.options.key)
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname=host) as connection:
                connection.sendall(kms_context.message)
                while kms_context.bytes_needed > 0:
                    data = connection.recv(kms_context.bytes_needed)
                    if not data:
                        raise OSError("the server closed the connection")
                    kms_context.feed(data)

    def fetch_keys(self, filter):
        return list(self.vault.values())

    def insert_data_key(self, data_key):
        document = bson.decode(data_key)
        self.vault[bytes(document["_id"])] = data_key
        return bytes(document["_id"])

    def bson_encode(self, doc):
        return bson.encode(doc)

    def collection_info(self, database, filter):
        raise NotImplementedError

    def mark_command(self, database, cmd):
        raise NotImplementedError

    def close(self):
        pass


def client(options, vault):
    callback = Callback(options, vault)
    return callback, ExplicitEncrypter(callback, MongoCryptOptions({"kmip": {"endpoint": options.endpoint}}))


def round_trip(options):
    vault = {}
    writing, writer = client(options, vault)
    identifier = writer.create_data_key("kmip", master_key={"delegated": True} if options.delegated else {})
    secret = bson.encode({"v": "a value of a field"})
    sealed = writer.encrypt(secret, DETERMINISTIC, key_id=identifier)
    if b"a value" in bytes(sealed):
        raise ValueError("the value is not encrypted")
    reading, reader = client(options, vault)
    if bytes(reader.decrypt(sealed)) != secret:
        raise ValueError("another value came back")
    master = bson.decode(vault[identifier])["masterKey"]
    return {"requests": [writing.requests, reading.requests], "id": master["keyId"], "delegated": master.get("delegated", False)}


def main():
    parser = argparse.ArgumentParser()
    for name in ("endpoint", "cert", "key", "ca"):
        parser.add_argument(f"-{name}", required=True)
    parser.add_argument("-delegated", action="store_true")
    try:
        print(json.dumps(round_trip(parser.parse_args())))
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}))
        sys.exit(1)


main()
