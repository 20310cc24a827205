import { usage } from "../objects/enumerations.ts";
import { active, part } from "../testing/cryptography-requests.ts";
import { attributeItem, findItem, item, payload, template } from "../testing/items.ts";
import { requestMessage } from "../testing/kmip-client.ts";
import {
  type Ask,
  type Attributes,
  absent,
  aes,
  attributesOf,
  data,
  deriving,
  everything,
  interval,
  later,
  named,
  op,
  p256,
  pairOf,
  type Row,
  reason,
  type Server,
  sha256,
  splitting,
  symmetricKey,
  testReasons,
  text,
  type,
  withTag,
} from "../testing/reason-rows.ts";
import type { Item } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

/**
 * KMIP 1.4, section 11: which Result Reason each error SHALL have, a row for each row of Tables 327 to 366 that a client of
 * this server can bring about. Not reached: a cryptographic error in making a key or random bytes (there is none to provoke),
 * attestation (never asked for), a Key Value that is not present (not taken by Register), MAC/Signature Key Information
 * (refused as a whole), PKCS#12. Cryptographic Parameters of a Key Wrapping Specification need no equal ones at the key, as
 * OASIS's own cases and every product have it. Revoke of an Opaque Object is allowed by 4.20.
 */
const makers: readonly (readonly [
  number,
  string,
  (server: Server, attributes: Item) => Promise<readonly [number, Item[]]>,
])[] = [
  [328, "Create", async (_, attributes) => [op.create, [type(2), attributes]]],
  [
    329,
    "Create Key Pair",
    async (_, attributes) => [
      op.createKeyPair,
      [{ ...attributes, tag: tag.CommonTemplateAttribute }, ...pairOf(p256, active(1), active(2)).slice(1)],
    ],
  ],
  [330, "Register", async (_, attributes) => [op.register, [type(2), attributes, symmetricKey]]],
  [331, "Re-key", async (server, attributes) => [op.reKey, [part.id(await server.key(12)), attributes]]],
  [
    332,
    "Re-key Key Pair",
    async (server, attributes) => [
      op.reKeyKeyPair,
      [
        item.text(tag.PrivateKeyUniqueIdentifier, (await server.pair()).privateKey),
        { ...attributes, tag: tag.PrivateKeyTemplateAttribute },
      ],
    ],
  ],
  [333, "Derive Key", async (server, attributes) => [op.deriveKey, deriving([await server.secret()], attributes)]],
  [
    334,
    "Certify",
    async (server, attributes) => {
      const { publicKey } = await server.pair([usage.certificateSign, usage.verify]);
      return [op.certify, [part.id(publicKey), attributes]];
    },
  ],
  [335, "Re-certify", async (server, attributes) => [op.reCertify, [part.id(await server.certificate()), attributes]]],
  [
    362,
    "Create Split Key",
    async (server, attributes) => [
      op.createSplitKey,
      [...splitting({}, { id: await server.key(12) }).slice(0, -1), attributes],
    ],
  ],
  [
    363,
    "Join Split Key",
    async (server, attributes) => [op.joinSplitKey, [type(2), ...(await server.parts()).map(part.id), attributes]],
  ],
];

/** What every maker of an object refuses; attributes besides those that it needs. */
const needed: Readonly<Record<number, Attributes>> = {
  328: aes,
  329: p256,
  333: { "Cryptographic Algorithm": 3, "Cryptographic Length": 256, "Cryptographic Usage Mask": 12 },
  334: { "x-subject": text("CN=app") },
};
const tooMany = Array.from({ length: 101 }, (_, at) => attributeItem("Object Group", `g${at}`));
const makerErrors: readonly (readonly [
  string,
  (server: Server) => Promise<readonly Item[]> | readonly Item[],
  number,
  (readonly number[])?,
])[] = [
  [
    "Templates that do not exist are given",
    () => [withTag(tag.Name, item.text(tag.NameValue, "none"), item.enumeration(tag.NameType, 1))],
    reason.notFound,
  ],
  [
    "Template object is archived",
    async (server) => {
      await server.archived(await server.templateObject("t"));
      return [withTag(tag.Name, item.text(tag.NameValue, "t"), item.enumeration(tag.NameType, 1))];
    },
    reason.archived,
  ],
  ["Incorrect attribute value", () => [attributeItem("State", 2)], reason.field],
  [
    "the same Name attribute value as an existing object",
    async (server) => {
      await server.key(12, { Name: named("taken") });
      return [attributeItem("Name", named("taken"))];
    },
    reason.field,
  ],
  ["more instances than the server supports", () => tooMany, reason.bounds],
  [
    "Application Data is omitted, and the Application Namespace not supported",
    () => [attributeItem("Application Specific Information", { applicationNamespace: "backup" })],
    reason.namespace,
  ],
];

const makerRows: readonly Row[] = makers.flatMap(([table, name, request]) =>
  makerErrors.map(
    ([error, attributes, expected]): Row => [
      table,
      `${name}: ${error}`,
      async (server) => {
        const own = attributesOf(needed[table] ?? {});
        const wrong = await attributes(server);
        const names = wrong.filter((each) => each.tag === tag.Name);
        const others = wrong.filter((each) => each.tag !== tag.Name);
        return server.send(...(await request(server, withTag(tag.TemplateAttribute, ...names, ...own, ...others))));
      },
      expected,
    ],
  ),
);

const extension = (critical: boolean) =>
  withTag(
    tag.MessageExtension,
    item.text(tag.VendorIdentification, "x"),
    item.boolean(tag.CriticalityIndicator, critical),
    withTag(tag.VendorExtension),
  );

const offset = interval(60);

const rows: readonly Row[] = [
  [
    327,
    "Protocol major version mismatch",
    (s) => s.send(op.query, [item.enumeration(tag.QueryFunction, 1)], { version: 9 }),
    reason.message,
  ],
  [
    327,
    "Error parsing the payload within a batch item",
    (s) => s.send(op.get, [item.integer(tag.UniqueIdentifier, 1), item.bytes(tag.KeyWrapType, Buffer.alloc(1))]),
    reason.message,
  ],
  [
    327,
    "The same field is contained in a payload more than once",
    (s) => s.send(op.get, [part.id(absent), part.id(absent)]),
    reason.message,
    later.message,
  ],
  [
    327,
    "Unknown field: one that exists, elsewhere",
    (s) => s.send(op.get, [part.id(absent), data]),
    reason.field,
    later.field,
  ],
  [
    327,
    "Unknown field: one that no version has",
    (s) => s.send(op.get, [part.id(absent), item.integer(0x42_0f_ff, 1)]),
    reason.field,
    later.tag,
  ],
  [
    327,
    "Maximum Response Size has been exceeded",
    (s) =>
      s.send(op.query, [item.enumeration(tag.QueryFunction, 1)], {
        header: [item.integer(tag.MaximumResponseSize, 100)],
      }),
    reason.tooLarge,
    later.tooLarge,
  ],
  [327, "Server does not support operation", (s) => s.send(op.notify, []), reason.operation, later.operation],
  [
    327,
    "A critical Message Extension is not understood",
    async (s) => {
      const message = requestMessage([{ operation: op.query, payload: payload() }], { version: 14 });
      const [header, only] = message.value as Item[];
      const extended = withTag(tag.BatchItem, ...((only as Item).value as Item[]), extension(true));
      return s.exchange(withTag(tag.RequestMessage, header as Item, extended));
    },
    reason.feature,
  ],
  [327, "Message cannot be parsed", (s) => s.exchange(withTag(tag.RequestMessage)), reason.message],

  [328, "Object Type is not recognized", (s) => s.send(op.create, [type(99)]), reason.field, later.enumeration],
  [
    330,
    "Register: Object Type is not recognized",
    (s) => s.send(op.register, [type(99), symmetricKey]),
    reason.field,
    later.enumeration,
  ],
  [
    330,
    "Object Type does not match type of cryptographic object provided",
    (s) => s.send(op.register, [type(7), symmetricKey]),
    reason.field,
    later.field,
  ],

  ...(
    [
      ["a Private Key", async (s: Server) => (await s.pair()).privateKey],
      ["Secret Data", (s: Server) => s.secret()],
    ] as const
  ).map(
    ([what, object]): Row => [
      331,
      `Object specified is not able to be re-keyed: ${what}`,
      async (s) => s.send(op.reKey, [part.id(await object(s))]),
      reason.denied,
      later.objectType,
    ],
  ),
  [
    331,
    "Object specified is not able to be re-keyed: it has a replacement",
    async (s) => {
      const id = await s.key(12);
      await s.made(op.reKey, part.id(id));
      return s.send(op.reKey, [part.id(id)]);
    },
    reason.denied,
    later.denied,
  ],
  [
    331,
    "Object specified is not able to be re-keyed: it is destroyed",
    async (s) => s.send(op.reKey, [part.id(await s.destroyed())]),
    reason.denied,
    later.destroyed,
  ],
  ...["Activation Date", "Process Start Date", "Protect Stop Date", "Deactivation Date"].map(
    (name): Row => [
      331,
      `Offset at the same time as ${name}`,
      async (s) => s.send(op.reKey, [part.id(await s.key(12)), offset, template({ [name]: 4_000_000_000 })]),
      reason.message,
    ],
  ),
  [
    331,
    "Offset, and no Activation Date of the existing key to move its Deactivation Date by",
    async (s) => {
      const dates = { "Deactivation Date": 4_000_000_000, "Cryptographic Usage Mask": 12 };
      const id = await s.registered(2, symmetricKey, dates);
      return s.send(op.reKey, [part.id(id), offset]);
    },
    reason.illegal,
    later.attribute,
  ],
  [
    332,
    "Object specified is not able to be re-keyed: a symmetric key",
    async (s) => s.send(op.reKeyKeyPair, [item.text(tag.PrivateKeyUniqueIdentifier, await s.key(12))]),
    reason.denied,
    later.denied,
  ],
  [
    332,
    "Object specified is not able to be re-keyed: it has a replacement",
    async (s) => {
      const id = item.text(tag.PrivateKeyUniqueIdentifier, (await s.pair()).privateKey);
      await s.made(op.reKeyKeyPair, id);
      return s.send(op.reKeyKeyPair, [id]);
    },
    reason.denied,
    later.denied,
  ],
  ...["Activation Date", "Deactivation Date"].map(
    (name): Row => [
      332,
      `Offset at the same time as ${name}`,
      async (s) => {
        const id = item.text(tag.PrivateKeyUniqueIdentifier, (await s.pair()).privateKey);
        const common = withTag(tag.CommonTemplateAttribute, attributeItem(name, 4_000_000_000));
        return s.send(op.reKeyKeyPair, [id, offset, common]);
      },
      reason.message,
    ],
  ),
  [
    332,
    "Offset, and no Activation Date of the existing key",
    async (s) => {
      const dates = { "Deactivation Date": 4_000_000_000 };
      const answer = await s.made(
        op.createKeyPair,
        ...pairOf({ ...p256, ...dates }, { "Cryptographic Usage Mask": 1 }, { "Cryptographic Usage Mask": 2 }),
      );
      const id = String(findItem(answer, tag.PrivateKeyUniqueIdentifier)?.value);
      return s.send(op.reKeyKeyPair, [item.text(tag.PrivateKeyUniqueIdentifier, id), offset]);
    },
    reason.illegal,
    later.attribute,
  ],

  [
    333,
    "One or more of the objects specified do not exist",
    (s) => s.send(op.deriveKey, deriving([absent], template(aes))),
    reason.notFound,
  ],
  [
    333,
    "One or more of the objects is archived",
    async (s) => s.send(op.deriveKey, deriving([await s.archived(await s.secret())], template(aes))),
    reason.archived,
  ],
  [
    333,
    "One or more of the objects specified are not of the correct type",
    async (s) => s.send(op.deriveKey, deriving([await s.opaque()], template(aes))),
    reason.field,
  ],
  [
    333,
    "Invalid Derivation Method",
    async (s) => s.send(op.deriveKey, deriving([await s.secret()], template(aes), { method: 99 })),
    reason.field,
  ],
  [
    333,
    "Invalid Derivation Parameters",
    async (s) => s.send(op.deriveKey, deriving([await s.secret()], template(aes), { method: 1 })),
    reason.field,
  ],
  [
    333,
    "Ambiguous derivation data provided both with Derivation Data and Secret Data object",
    async (s) => {
      const twice = { method: 3, parameters: [sha256, item.bytes(tag.DerivationData, Buffer.from("data"))] };
      return s.send(op.deriveKey, deriving([await s.key(everything), await s.secret()], template(aes), twice));
    },
    reason.message,
  ],
  ...(
    [
      ["its mask forbids", (s: Server) => s.secret(12)],
      ["it is destroyed", (s: Server) => s.destroyed()],
      ["it is deactivated", (s: Server) => s.key(everything, { "Deactivation Date": 2 })],
    ] as const
  ).map(
    ([why, object]): Row => [
      333,
      `One or more of the specified objects are not able to be used to derive a new key: ${why}`,
      async (s) => s.send(op.deriveKey, deriving([await object(s)], template(aes))),
      reason.field,
    ],
  ),
  [
    333,
    "The specified length exceeds the output of the derivation method",
    async (s) =>
      s.send(op.deriveKey, [
        type(7),
        ...deriving(
          [await s.secret()],
          template({ "Cryptographic Length": 4_096, "Cryptographic Usage Mask": 12 }),
        ).slice(1),
      ]),
    reason.cryptographic,
  ],

  [
    334,
    "Object specified is not able to be certified: a symmetric key",
    async (s) => s.send(op.certify, [part.id(await s.key(12))]),
    reason.denied,
    later.objectType,
  ],
  [
    334,
    "The Certificate Request does not contain a signed request of the specified type",
    async (s) =>
      s.send(op.certify, [
        part.id((await s.pair()).publicKey),
        item.enumeration(tag.CertificateRequestType, 2),
        item.bytes(tag.CertificateRequest, Buffer.from("nothing")),
      ]),
    reason.field,
  ],
  [
    335,
    "Object specified is not able to be certified: a symmetric key",
    async (s) => s.send(op.reCertify, [part.id(await s.key(12))]),
    reason.denied,
    later.objectType,
  ],
  ...["Activation Date", "Deactivation Date"].map(
    (name): Row => [
      335,
      `Offset at the same time as ${name}`,
      async (s) => s.send(op.reCertify, [part.id(await s.certificate()), template({ [name]: 4_000_000_000 }), offset]),
      reason.message,
    ],
  ),
  [
    362,
    "Split: Object Type is not recognized",
    (s) => s.send(op.createSplitKey, [type(99), ...splitting(aes).slice(1)]),
    reason.field,
  ],
  [
    362,
    "Split Key Method not supported",
    (s) => s.send(op.createSplitKey, splitting(aes, { method: 99 })),
    reason.field,
  ],
  [
    362,
    "Split: no object with the specified Unique Identifier exists",
    (s) => s.send(op.createSplitKey, splitting({}, { id: absent })),
    reason.notFound,
  ],
  [
    363,
    "Join: Object Type is not recognized",
    (s) => s.send(op.joinSplitKey, [type(99), part.id(absent)]),
    reason.field,
    later.enumeration,
  ],
  [
    363,
    "Number of Unique Identifiers is less than Split Key Threshold",
    async (s) => s.send(op.joinSplitKey, [type(2), ...(await s.parts()).slice(1).map(part.id)]),
    reason.cryptographic,
    later.cryptographic,
  ],
  [
    363,
    "Join: no object with the specified Unique Identifier exists",
    (s) => s.send(op.joinSplitKey, [type(2), part.id(absent)]),
    reason.notFound,
    later.objectNotFound,
  ],
  [
    363,
    "Join: one or more of the objects is archived",
    async (s) => {
      const [first = "", ...others] = await s.parts();
      return s.send(op.joinSplitKey, [type(2), ...[await s.archived(first), ...others].map(part.id)]);
    },
    reason.archived,
    later.archived,
  ],

  [
    365,
    "Import: the Unique Identifier already exists",
    async (s) => s.send(op.import, [part.id(await s.key(12)), type(2), symmetricKey]),
    reason.exists,
    later.exists,
  ],
  [
    365,
    "Import: Object Type is not recognized",
    (s) => s.send(op.import, [part.id(absent), type(99), symmetricKey]),
    reason.field,
  ],
  [
    365,
    "Import: Object Type does not match the object",
    (s) => s.send(op.import, [part.id(absent), type(7), symmetricKey]),
    reason.field,
    later.field,
  ],
  [365, "Import: incorrect attribute value", importing(attributeItem("State", 5)), reason.field],
  [
    365,
    "Import: the Name of an existing object",
    async (s) => {
      await s.key(12, { Name: named("taken") });
      return importing(attributeItem("Name", named("taken")))(s);
    },
    reason.field,
  ],
  [365, "Import: more instances than the server supports", importing(...tooMany), reason.bounds],
  [
    365,
    "Import: Application Data is omitted",
    importing(attributeItem("Application Specific Information", { applicationNamespace: "backup" })),
    reason.namespace,
  ],
  [
    365,
    "Import: a field is not supported by the server: Replace Existing",
    async (s) =>
      s.send(op.import, [part.id(await s.key(12)), type(2), item.boolean(tag.ReplaceExisting, true), symmetricKey]),
    reason.field,
    later.field,
  ],
];

function importing(...attributes: Item[]): Ask {
  return (server) => server.send(op.import, [part.id(absent), type(2), ...attributes, symmetricKey]);
}

testReasons([...rows, ...makerRows]);
