import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ttlv } from "../kmip/encoding.ts";
import { kmipHandler } from "../kmip/handler.ts";
import { testKeyring } from "./keyring.ts";
import { memoryStore } from "./memory-store.ts";
import { choiceFor, type OasisCase, oasisCases } from "./oasis-cases.ts";
import { type Exchange, newSeries, playCase } from "./oasis-play.ts";

/** One request with its answer, of any version. */
function exchange(version: string, request: string, answer: string): string {
  const [major, minor] = version.split(".");
  const header = `<ProtocolVersion><ProtocolVersionMajor type="Integer" value="${major}"/>
    <ProtocolVersionMinor type="Integer" value="${minor}"/></ProtocolVersion>`;
  return `<RequestMessage><RequestHeader>${header}<BatchCount type="Integer" value="1"/></RequestHeader>
      <BatchItem>${request}</BatchItem></RequestMessage>
    <ResponseMessage><ResponseHeader>${header}<TimeStamp type="DateTime" value="$NOW"/>
      <BatchCount type="Integer" value="1"/></ResponseHeader>
      <BatchItem>${answer}</BatchItem></ResponseMessage>`;
}

const success = '<ResultStatus type="Enumeration" value="Success"/>';
const operation = (name: string) => `<Operation type="Enumeration" value="${name}"/>`;
const identifier = '<UniqueIdentifier type="TextString" value="$UNIQUE_IDENTIFIER_0"/>';
const attribute = (name: string, type: string, value: string) =>
  `<Attribute><AttributeName type="TextString" value="${name}"/><AttributeValue type="${type}" value="${value}"/></Attribute>`;

const create = (version: string, activation = "$NOW-3600") =>
  exchange(
    version,
    `${operation("Create")}<RequestPayload><ObjectType type="Enumeration" value="SymmetricKey"/><TemplateAttribute>
      ${attribute("Cryptographic Algorithm", "Enumeration", "AES")}${attribute("Cryptographic Length", "Integer", "128")}
      ${attribute("Cryptographic Usage Mask", "Integer", "Encrypt | Decrypt")}
      ${attribute("Activation Date", "DateTime", activation)}</TemplateAttribute></RequestPayload>`,
    `${operation("Create")}${success}<ResponsePayload><ObjectType type="Enumeration" value="SymmetricKey"/>${identifier}</ResponsePayload>`,
  );
const state = (version: string, value: string) =>
  exchange(
    version,
    `${operation("GetAttributes")}<RequestPayload>${identifier}<AttributeName type="TextString" value="State"/></RequestPayload>`,
    `${operation("GetAttributes")}${success}<ResponsePayload>${identifier}${attribute("State", "Enumeration", value)}</ResponsePayload>`,
  );

function inFolder(files: Readonly<Record<string, string>>, use: (folder: string) => unknown): unknown {
  const folder = mkdtempSync(join(tmpdir(), "oasis-"));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function played(text: string): Promise<readonly string[]> {
  const [only] = inFolder({ "case.xml": text }, (folder) => oasisCases([folder])) as OasisCase[];
  const handler = kmipHandler({ store: memoryStore(), keyring: testKeyring(), log: () => undefined });
  const caller = { identity: "CN=vector", subject: "CN=vector" };
  const send: Exchange = async (message) => ttlv.decode(await handler(ttlv.encode(message), caller, ttlv));
  return playCase(only as OasisCase, send, newSeries());
}

const good = `<KMIP>${create("1.3")}${state("1.3", "Active")}</KMIP>`;
const passing: Readonly<Record<string, string>> = {
  "as OASIS writes it": good,
  "with a byte order mark, a declaration and CRLF": `\u{feff}<?xml version="1.0" encoding="UTF-8"?>${good.replaceAll("\n", "\r\n")}`,
  "with comments and remarks between the messages": `<KMIP><!-- a > b -->\n# TIME 0\n# [Client-A]\n${create("1.3")}<!-- <RequestMessage> -->${state("1.3", "Active")}</KMIP>`,
  "with the messages inside another element": `<KMIP><TestCase>${create("1.3")}${state("1.3", "Active")}</TestCase></KMIP>`,
  "with the messages as roots of their own": `${create("1.3")}${state("1.3", "Active")}`,
  "with single quotes, and signs of markup in a value": `<KMIP>${create("1.3").replace("</TemplateAttribute>", `${attribute("x-ID", "TextString", "a > b &amp; &#x3c; c")}</TemplateAttribute>`)}${state("1.3", "Active").replaceAll('"', "'")}</KMIP>`,
  "with elements named by the number of their tag": `<KMIP>${create("1.3").replace(/<BatchCount type="Integer" value="1"\/>/, '<TTLV tag="0x42000d" type="Integer" value="0x00000001"/>')}${state("1.3", "Active")}</KMIP>`,
  "with a date in another unit": `<KMIP>${create("1.4", "$NOW + 2h")}${state("1.4", "PreActive")}</KMIP>`,
};

for (const [name, text] of Object.entries(passing)) {
  test(`a case ${name} is played`, async () => {
    assert.deepEqual(await played(text), []);
  });
}

test("a difference is told with its message and what the server said", async () => {
  assert.match((await played(`<KMIP>${create("1.3")}${state("1.3", "Deactivated")}</KMIP>`)).join(), /^message 3: /);
  const unknown = good.replace("$NOW-3600", "$TOMORROW");
  assert.deepEqual(await played(unknown), ["message 1: $TOMORROW is not bound: no earlier answer gave it"]);
  assert.match((await played(good.replace('value="128"', 'value="129"'))).join(), /the server said: .*AES keys have/);
});

test("a version that is not spoken is a failure that says so, and not a crash", async () => {
  const [only, ...none] = await played(
    good
      .replaceAll(/(Major|Minor)" ?type/g, "$1 type")
      .replaceAll(/VersionMajor type="Integer" value="1"/g, 'VersionMajor type="Integer" value="3"'),
  );
  assert.deepEqual(none, []);
  assert.match(only ?? "", /KMIP 3\.3 was not answered: KMIP 3\.3 is not spoken here/);
});

test("files are found in nested folders whatever they are called, and run in their order", () => {
  const files = {
    "mandatory/TL-M-10-13.xml": good,
    "mandatory/TL-M-2-13.XML": good,
    "other/deep/SKLC_M_1_13_SymmetricKeyLifecycle_1.xml": good,
    "other/MSGENC-JSON-M-1-13.xml": good,
    "readme.txt": "not a case",
  };
  const cases = inFolder(files, (folder) => oasisCases([folder])) as OasisCase[];
  assert.deepEqual(
    cases.map(({ name, transport }) => `${name} ${transport}`),
    ["TL-M-2-13 ttlv", "TL-M-10-13 ttlv", "SKLC-M-1-13 ttlv", "MSGENC-JSON-M-1-13 json"],
  );
  assert.equal(new Set(cases.map(({ series }) => series)).size, 3);
});

const unplayable: Readonly<Record<string, readonly [string, string]>> = {
  "a request without an answer": [create("1.3").replace(/<ResponseMessage>.*/s, ""), "message 1 has no answer"],
  "no whole XML": ["<KMIP><RequestMessage>", "not one whole XML document"],
  "elements that cross": ["<KMIP><a></b></KMIP>", "</b> closes a"],
  "no request": ["<KMIP/>", "there is no Request Message in the file"],
  "an element that KMIP does not have": [good.replaceAll("ObjectType", "Wrong"), "unknown element Wrong"],
};

for (const [name, [text, says]] of Object.entries(unplayable)) {
  test(`a file with ${name} is a failed case, and no end of the run`, async () => {
    assert.match((await played(text)).join(), new RegExp(says));
  });
}

test("what the server's owner is to decide is read from the case", () => {
  const choices: Readonly<Record<string, readonly [string, object]>> = {
    "nothing special": [good, { legacyCiphers: false, servesCompromised: false, seed: 1_048_576 }],
    "3DES": [
      good.replace('value="AES"', 'value="DES3"'),
      { legacyCiphers: true, servesCompromised: false, seed: 1_048_576 },
    ],
    "a seed of which half is taken": [
      `<KMIP>${exchange(
        "1.3",
        `${operation("RNGSeed")}<RequestPayload><Data type="ByteString" value="00112233"/></RequestPayload>`,
        `${operation("RNGSeed")}${success}<ResponsePayload><DataLength type="Integer" value="2"/></ResponsePayload>`,
      )}</KMIP>`,
      { legacyCiphers: false, servesCompromised: false, seed: 2 },
    ],
  };
  for (const [name, [text, choice]] of Object.entries(choices)) {
    const [only] = inFolder({ "case.xml": text }, (folder) => oasisCases([folder])) as OasisCase[];
    assert.deepEqual(choiceFor(only as OasisCase), choice, name);
  }
});
