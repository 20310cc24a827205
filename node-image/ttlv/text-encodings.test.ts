import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { tag } from "../kmip/tags.ts";
import { json, vocabulary, xml } from "../kmip/vocabulary.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { DecodeError, type Item, itemType, limits } from "./types.ts";

const structure = (number: number, ...value: Item[]): Item => ({ tag: number, type: itemType.structure, value });

const usageMask: Item = { tag: tag.CryptographicUsageMask, type: itemType.integer, value: 12 };
const everything = structure(
  tag.RequestMessage,
  structure(tag.RequestHeader),
  structure(
    tag.Attribute,
    { tag: tag.AttributeName, type: itemType.textString, value: "Cryptographic Usage Mask" },
    { tag: tag.AttributeValue, type: itemType.integer, value: 3 },
  ),
  structure(
    tag.Attribute,
    { tag: tag.AttributeName, type: itemType.textString, value: "Cryptographic Algorithm" },
    { tag: tag.AttributeValue, type: itemType.enumeration, value: 2 },
  ),
  usageMask,
  { tag: tag.BatchCount, type: itemType.integer, value: -7 },
  { tag: tag.UsageLimitsTotal, type: itemType.longInteger, value: -(2n ** 63n) },
  { tag: tag.Modulus, type: itemType.bigInteger, value: -(2n ** 64n) },
  { tag: tag.HashingAlgorithm, type: itemType.enumeration, value: 6 },
  { tag: tag.OpaqueDataType, type: itemType.enumeration, value: 0x80000001 },
  { tag: tag.AttributeReference, type: itemType.enumeration, value: tag.X509CertificateSubject },
  { tag: tag.Sensitive, type: itemType.boolean, value: true },
  { tag: tag.NameValue, type: itemType.textString, value: 'a <b> & "c"\t\u{1f511} \\u0041' },
  { tag: tag.KeyMaterial, type: itemType.byteString, value: Buffer.from("00ff7f80", "hex") },
  { tag: tag.ActivationDate, type: itemType.dateTime, value: 0n },
  { tag: tag.DestroyDate, type: itemType.dateTime, value: 253_402_300_800n },
  { tag: tag.SubmissionDate, type: itemType.dateTimeExtended, value: -1n },
  { tag: tag.RotateDate, type: itemType.dateTimeExtended, value: 2n ** 62n },
  { tag: tag.LeaseTime, type: itemType.interval, value: 4_294_967_295 },
  { tag: 0x540001, type: itemType.textString, value: "an extension" },
);

for (const encoding of [json, xml]) {
  test(`every type comes back from ${encoding.name} as it went`, () => {
    assert.deepEqual(encoding.decode(encoding.encode(everything)), everything);
  });

  test(`a message means the same in ${encoding.name} and TTLV`, () => {
    assert.deepEqual(encode(encoding.decode(encoding.encode(decode(encode(everything))))), encode(everything));
  });
}

test("XML is well-formed whatever a text holds: signs that XML cannot have are told as U+FFFD", () => {
  const signs = [...Array.from({ length: 0x20 }, (_, at) => at), 0x7f, 0x85, 0xfffd, 0xfffe, 0xffff, 0x10ffff];
  const lost = [0x09, 0x0a, 0x0d, 0x7f, 0x85, 0xfffd, 0x10ffff];
  for (const sign of [...signs, 0xd800, 0xdfff]) {
    const value = `a${String.fromCodePoint(sign)}b`;
    const bytes = xml.encode({ tag: tag.NameValue, type: itemType.textString, value });
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    assert.doesNotMatch(text, /[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u, `U+${sign.toString(16)}`);
    assert.doesNotMatch(text, /&#(?!9;|10;|13;)/, `U+${sign.toString(16)}`);
    assert.equal(xml.decode(bytes).value, lost.includes(sign) ? value : "a\ufffdb");
  }
});

test("words are those of the profile", () => {
  const text = xml.encode(everything).toString();
  for (const part of [
    '<CryptographicUsageMask type="Integer" value="Encrypt Decrypt"/>',
    '<AttributeValue type="Integer" value="Sign Verify"/>',
    '<AttributeValue type="Enumeration" value="DES3"/>',
    '<HashingAlgorithm type="Enumeration" value="SHA_256"/>',
    '<OpaqueDataType type="Enumeration" value="0x80000001"/>',
    '<AttributeReference type="Enumeration" value="X_509CertificateSubject"/>',
    '<ActivationDate type="DateTime" value="1970-01-01T00:00:00+00:00"/>',
    '<SubmissionDate type="DateTimeExtended" value="1969-12-31T23:59:59.999999+00:00"/>',
    '<TTLV tag="0x540001" type="TextString" value="an extension"/>',
  ])
    assert.ok(text.includes(part), part);
  const parsed = JSON.parse(json.encode(usageMask).toString());
  assert.deepEqual(parsed, { tag: "CryptographicUsageMask", type: "Integer", value: "Encrypt|Decrypt" });
});

const words: readonly (readonly [string, string])[] = [
  ["Operation", "ReKeyKeyPair"],
  ["Operation", "MACVerify"],
  ["Operation", "PKCS_11"],
  ["KeyFormatType", "X_509"],
  ["KeyFormatType", "PKCS_8"],
  ["State", "PreActive"],
  ["RNGAlgorithm", "ANSIX9_31"],
  ["CryptographicAlgorithm", "GOSTR34_10_2012"],
  ["PaddingMethod", "PKCS1V1_5"],
  ["SplitKeyMethod", "PolynomialSharingGF2_16"],
];
for (const [name, word] of words) {
  test(`${word} is a word of ${name}`, () => {
    const number = vocabulary.tagOf(name) ?? 0;
    const value = vocabulary.valueOf(number, word, undefined);
    assert.ok(value !== undefined, "the word is not known");
    assert.equal(vocabulary.wordOfValue(number, value, undefined), word);
  });
}

const refusedXml: readonly (readonly [string, string, RegExp])[] = [
  ["a document type", '<!DOCTYPE a [<!ENTITY x "y">]><RequestMessage/>', /A name is missing/],
  ["an entity of its own", '<NameValue type="TextString" value="&x;"/>', /entity/],
  ["an entity that does not end", '<NameValue type="TextString" value="&amp"/>', /entity/],
  ["a null character", '<NameValue type="TextString" value="&#0;"/>', /entity/],
  ["a control character", '<NameValue type="TextString" value="a\u0001"/>', /control character/],
  ["a reference to a control character", '<NameValue type="TextString" value="&#1;"/>', /entity/],
  ["half of a surrogate pair", '<NameValue type="TextString" value="&#xd800;"/>', /entity/],
  ["a comment", "<RequestMessage><!-- --></RequestMessage>", /A name is missing/],
  ["text between elements", "<RequestMessage>a</RequestMessage>", /Text stands between/],
  ["another element's end", "<RequestMessage></RequestHeader>", /is missing/],
  ["no end", "<RequestMessage>", /Text stands between/],
  ["an unknown element", "<Kmip/>", /name is not known/],
  ["an attribute given twice", '<NameValue type="TextString" type="TextString" value="a"/>', /given twice/],
  ["a structure with a value", '<RequestMessage value="1"/>', /no value of its own/],
  ["a value that is missing", '<NameValue type="TextString"/>', /value is missing/],
  ["an unknown type", '<NameValue type="String" value="a"/>', /type does not exist/],
  ["odd digits", '<KeyMaterial type="ByteString" value="abc"/>', /odd number/],
  ["digits that are none", '<KeyMaterial type="ByteString" value="zz"/>', /hexadecimal/],
  ["a number too large", '<BatchCount type="Integer" value="2147483648"/>', /out of its range/],
  ["a number with a leading zero", '<BatchCount type="Integer" value="01"/>', /no known way/],
  ["a word that is none", '<State type="Enumeration" value="Lost"/>', /word that is not known/],
  ["a date without a zone", '<ActivationDate type="DateTime" value="2020-01-01T00:00:00"/>', /ISO 8601/],
  ["something after the message", "<RequestMessage/><RequestMessage/>", /Something follows/],
  ["too deep", "<RequestMessage>".repeat(limits.depth + 1), /nested deeper/],
];
for (const [name, text, message] of refusedXml) {
  test(`XML with ${name} is refused with its place`, () => {
    assert.throws(
      () => xml.decode(Buffer.from(text)),
      (error) =>
        error instanceof DecodeError && message.test(error.message) && error.offset >= 0 && error.offset <= text.length,
    );
  });
}

const refusedJson: readonly (readonly [string, string, RegExp])[] = [
  ["a member of nobody", '{"tag":"BatchCount","type":"Integer","value":1,"x":1}', /none of tag/],
  ["a member given twice", '{"tag":"BatchCount","tag":"BatchCount","type":"Integer","value":1}', /given twice/],
  ["no tag", '{"type":"Integer","value":1}', /tag is not known/],
  ["a structure that is no array", '{"tag":"RequestMessage","value":{}}', /is an array/],
  ["a text as a number", '{"tag":"NameValue","type":"TextString","value":1}', /another kind/],
  ["a null", '{"tag":"NameValue","type":"TextString","value":null}', /another kind/],
  ["a fraction", '{"tag":"BatchCount","type":"Integer","value":1.5}', /no known way/],
  ["an unknown escape", '{"tag":"NameValue","type":"TextString","value":"\\\\x"}', /escape/],
  ["half of a surrogate pair", '{"tag":"NameValue","type":"TextString","value":"\\\\ud800"}', /escape/],
  ["a line end in a string", '{"tag":"NameValue","type":"TextString","value":"a\nb"}', /control character/],
  ["a backslash at its end", '{"tag":"NameValue\\', /does not end/],
  ["a trailing comma", '{"tag":"RequestMessage","value":[],}', /name is missing/],
  ["something after the message", '{"tag":"RequestMessage","value":[]} 1', /Something follows/],
  ["too deep", '{"tag":"RequestMessage","value":['.repeat(limits.depth + 1), /nested deeper/],
];
for (const [name, text, message] of refusedJson) {
  test(`JSON with ${name} is refused with its place`, () => {
    const bytes = Buffer.from(text.replaceAll("\\\\", "\\"));
    assert.throws(
      () => json.decode(bytes),
      (error) =>
        error instanceof DecodeError && message.test(error.message) && error.offset >= 0 && error.offset <= text.length,
    );
  });
}

test("as many items as TTLV takes, and no more", () => {
  const one = '<BatchCount type="Integer" value="1"/>';
  const many = (count: number) => Buffer.from(`<RequestMessage>${one.repeat(count)}</RequestMessage>`);
  assert.doesNotThrow(() => xml.decode(many(limits.items - 1)));
  assert.throws(() => xml.decode(many(limits.items)), /more than/);
});

test("a message in XML full of signs that are no entities takes a few times its size, not a hundred times", () => {
  const program = `
    import assert from "node:assert/strict";
    import { xml } from ${JSON.stringify(new URL("../kmip/vocabulary.ts", import.meta.url).href)};
    const message = Buffer.from('<NameValue type="TextString" value="' + "&".repeat(1_000_000) + '"/>');
    assert.throws(() => xml.decode(message), /entity/);`;
  const flags = ["--max-old-space-size=48", "--max-semi-space-size=4", "--input-type=module", "-e", program];
  const { status, stderr } = spawnSync(process.execPath, flags, { encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 0, stderr.slice(0, 2_000));
});
