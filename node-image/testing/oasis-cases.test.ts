import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ttlv } from "../kmip/encoding.ts";
import { testKeyring } from "./keyring.ts";
import { Bindings } from "./kmip-bindings.ts";
import { kmipHandler } from "./kmip-handler.ts";
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

const identifierGiven = "fb4b5b9c-6188-4c63-8142-fe9c328129fc";
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

async function played(text: string, name = "case.xml"): Promise<readonly string[]> {
  const [only] = inFolder({ [name]: text }, (folder) => oasisCases([folder])) as OasisCase[];
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
  "with a document type": `<!DOCTYPE KMIP [<!ELEMENT KMIP ANY><!ENTITY a "b">]>${good}`,
  "with its placeholders spelled otherwise": `<KMIP>${create("1.3", "$(now) - 1 hour")}${state("1.3", "Active").replace("$UNIQUE_IDENTIFIER_0", "$(unique-identifier-0)")}</KMIP>`,
  "with the identifiers that the example's server gave": good.replaceAll("$UNIQUE_IDENTIFIER_0", identifierGiven),
  "with an index of 0 told": good.replace(
    /(value="State"\/>)(<AttributeValue)/,
    '$1<AttributeIndex type="Integer" value="0"/>$2',
  ),
  "with numbers for dates and words": `<KMIP>${create("1.3", "1335514340").replace('value="AES"', 'value="3"').replace("Encrypt | Decrypt", "0x0000000c")}${state("1.3", "0x00000002")}</KMIP>`,
  "with bytes in lines, and truth in capitals": good
    .replaceAll(operation("Create"), `${operation("Create")}<UniqueBatchItemID type="ByteString" value="0a0B\n  0c"/>`)
    .replace("<BatchCount", '<BatchOrderOption type="Boolean" value="TRUE"/><BatchCount'),
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

test("a case is played in the version of its messages, whatever its name says", async () => {
  assert.deepEqual(await played(`<KMIP>${create("1.4")}${state("1.4", "Active")}</KMIP>`, "SKLC-M-1-13.xml"), []);
  assert.match((await played(`<KMIP>${create("2.0")}</KMIP>`, "SKLC-M-1-13.xml")).join(), /TemplateAttribute/);
});

test("what the file has in an answer and KMIP does not is a difference, and the rest is compared all the same", async () => {
  const strange = `<KMIP>${create("1.3")}${state("1.3", "Sleeping")}</KMIP>`.replace(
    `${success}<ResponsePayload>`,
    `${success}<ResponsePayload><Nonsense type="Integer" value="1"/>`,
  );
  const [first, second] = await played(strange);
  assert.equal(first, "message 1: no Nonsense 1");
  assert.match(second ?? "", /^message 3: no Attribute {2}State Sleeping.*unknown value Sleeping of State/);
});

test("values that are none are told, and not taken for something else", async () => {
  const values: Readonly<Record<string, string>> = {
    '<BatchOrderOption type="Boolean" value="maybe"/>': "maybe of BatchOrderOption is neither true nor false",
    '<ClientCorrelationValue type="ByteString" value="0x0g"/>': "0x0g of ClientCorrelationValue is no Byte String",
    '<TimeStamp type="DateTime" value="yesterday"/>': "yesterday is no date",
  };
  for (const [element, says] of Object.entries(values)) {
    assert.deepEqual(await played(good.replace("<BatchCount", `${element}<BatchCount`)), [`message 1: ${says}`]);
  }
});

test("an identifier that a request brings is the file's own: an answer must have the same", () => {
  const bindings = new Bindings();
  assert.equal(bindings.valueOf(identifierGiven), identifierGiven);
  assert.equal(bindings.bind(identifierGiven, "another"), identifierGiven);
});

test("what the example's server lets wait may be answered at once: a Poll is then not sent, and judged by that answer", async () => {
  const waiting = '<AsynchronousCorrelationValue type="ByteString" value="$ASYNCHRONOUS_CORRELATION_VALUE"/>';
  const asked = create("1.3").replace("<BatchCount", '<AsynchronousIndicator type="Boolean" value="true"/><BatchCount');
  const pending = `${operation("Create")}<ResultStatus type="Enumeration" value="OperationPending"/>${waiting}`;
  const letWait = asked
    .replace(`${operation("Create")}${success}`, pending)
    .replace(/<ResponsePayload>.*?<\/ResponsePayload>/s, "");
  const poll = (says: string) =>
    exchange("1.3", `${operation("Poll")}<RequestPayload>${waiting}</RequestPayload>`, `${operation("Create")}${says}`);
  const made = `${success}<ResponsePayload><ObjectType type="Enumeration" value="SymmetricKey"/>${identifier}</ResponsePayload>`;
  const cancel = exchange(
    "1.3",
    `${operation("Cancel")}<RequestPayload>${waiting}</RequestPayload>`,
    `${operation("Cancel")}${success}<ResponsePayload>${waiting}</ResponsePayload>`,
  );
  const still = pending.replace(operation("Create"), "");
  assert.deepEqual(
    await played(`<KMIP>${letWait}${poll(still)}${poll(made)}${cancel}${state("1.3", "Active")}</KMIP>`),
    [],
  );
  assert.match(
    (await played(`<KMIP>${letWait}${poll(made.replace("SymmetricKey", "SecretData"))}</KMIP>`)).join(),
    /^message 3: no ObjectType SecretData/,
  );
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
    "other/deep/AKLC-M-1-13.xml.txt": good,
    "other/OMOS-M-1-13.kmip": good,
    "readme.txt": "not a case, but about <RequestMessage>s",
    "pages/index.html": good,
  };
  const cases = inFolder(files, (folder) => oasisCases([folder])) as OasisCase[];
  assert.deepEqual(
    cases.map(({ name, transport }) => `${name} ${transport}`),
    [
      "TL-M-2-13 ttlv",
      "TL-M-10-13 ttlv",
      "AKLC-M-1-13 ttlv",
      "SKLC-M-1-13 ttlv",
      "MSGENC-JSON-M-1-13 json",
      "OMOS-M-1-13 ttlv",
    ],
  );
  assert.equal(new Set(cases.map(({ series }) => series)).size, 5);
  const single = inFolder(files, (folder) => oasisCases([join(folder, "mandatory/TL-M-2-13.XML")])) as OasisCase[];
  assert.deepEqual(
    single.map(({ name }) => name),
    ["TL-M-2-13"],
  );
});

test("a run without cases fails, and says so in a line", () => {
  const runs: Readonly<Record<string, RegExp>> = {
    "": /^the OASIS test cases are missing: \S+ has no XML file\n$/,
    nowhere: /^the OASIS test cases are missing: there is no folder \S+nowhere\n$/,
  };
  for (const [place, says] of Object.entries(runs)) {
    const run = inFolder({ "readme.md": "nothing" }, (folder) =>
      spawnSync(process.execPath, [join(import.meta.dirname, "oasis-run.ts"), join(folder, place)], {
        encoding: "utf8",
      }),
    ) as { status: number; stdout: string; stderr: string };
    assert.equal(run.status, 1);
    assert.match(run.stderr, says);
    assert.equal(run.stdout, "");
  }
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
    assert.deepEqual(choiceFor([only as OasisCase]), choice, name);
  }
  const both = inFolder({ "TL-M-1-13.xml": good, "TL-M-2-13.xml": good.replace("AES", "DES3") }, (folder) =>
    oasisCases([folder]),
  ) as OasisCase[];
  assert.equal(choiceFor(both).legacyCiphers, true, "one choice for all that go on with each other's objects");
});
