import { active, part } from "../testing/cryptography-requests.ts";
import { attributeItem, findItem, item, template } from "../testing/items.ts";
import {
  absent,
  data,
  ecdsa,
  everything,
  gcm,
  hmac,
  later,
  limited,
  named,
  onKey,
  op,
  pairOf,
  type Row,
  reason,
  type Server,
  testReasons,
  text,
  withTag,
  wrappedBy,
} from "../testing/reason-rows.ts";
import type { Item } from "../ttlv/types.ts";
import { tag } from "./tags.ts";

/** KMIP 1.4, Tables 331 to 352 and 364: what can be wrong with an object, or with what is asked of it (see result-reasons.test.ts). */
const usageCount = item.longInteger(tag.UsageLimitsCount, 1n);
const revocation = withTag(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, 1));
const comment = attributeItem("Contact Information", "a");

/** Operations on one object: what they send besides its identifier; whether the request means the same in 2.1. */
const onObjects: readonly (readonly [number, string, number, readonly Item[], boolean?])[] = [
  [331, "Re-key", op.reKey, []],
  [334, "Certify", op.certify, [template({ "x-subject": text("CN=app") })]],
  [335, "Re-certify", op.reCertify, []],
  [337, "Check", op.check, [], true],
  [338, "Get", op.get, [], true],
  [339, "Get Attributes", op.getAttributes, [], true],
  [340, "Get Attribute List", op.getAttributeList, [], true],
  [341, "Add Attribute", op.addAttribute, [comment]],
  [342, "Modify Attribute", op.modifyAttribute, [comment]],
  [343, "Delete Attribute", op.deleteAttribute, [item.text(tag.AttributeName, "Contact Information")]],
  [344, "Obtain Lease", op.obtainLease, [], true],
  [345, "Get Usage Allocation", op.getUsageAllocation, [usageCount], true],
  [346, "Activate", op.activate, [], true],
  [347, "Revoke", op.revoke, [revocation], true],
  [348, "Destroy", op.destroy, [], true],
  [349, "Archive", op.archive, [], true],
  [353, "Encrypt", op.encrypt, [gcm, data], true],
  [354, "Decrypt", op.decrypt, [gcm, data], true],
  [355, "Sign", op.sign, [ecdsa, data], true],
  [356, "Signature Verify", op.signatureVerify, [ecdsa, data], true],
  [357, "MAC", op.mac, [hmac, data], true],
  [358, "MAC Verify", op.macVerify, [hmac, data], true],
  [364, "Export", op.export, [], true],
];

const objectRows: readonly Row[] = [
  ...onObjects.flatMap(([table, name, operation, children, same]): Row[] => [
    [
      table,
      `${name}: no object with the specified Unique Identifier exists`,
      (server) => server.send(operation, [part.id(absent), ...children]),
      reason.notFound,
      same === true ? later.objectNotFound : undefined,
    ] as Row,
    [
      table,
      `${name}: the object is archived`,
      async (server) => server.send(operation, [part.id(await server.archived(await server.key(12))), ...children]),
      reason.archived,
      same === true ? later.archived : undefined,
    ] as Row,
  ]),
  [
    350,
    "Recover: no object exists",
    (s) => s.send(op.recover, [part.id(absent)]),
    reason.notFound,
    later.objectNotFound,
  ],
  [
    332,
    "Re-key Key Pair: no object exists",
    (s) => s.send(op.reKeyKeyPair, [item.text(tag.PrivateKeyUniqueIdentifier, absent)]),
    reason.notFound,
    later.objectNotFound,
  ],
  [
    332,
    "Re-key Key Pair: the object is archived",
    async (s) => {
      const { privateKey } = await s.pair();
      return s.send(op.reKeyKeyPair, [item.text(tag.PrivateKeyUniqueIdentifier, await s.archived(privateKey))]);
    },
    reason.archived,
    later.archived,
  ],
];

const groups = Array.from({ length: 101 }, (_, at) => attributeItem("Object Group", `g${at}`));

const rows: readonly Row[] = [
  [
    336,
    "Locate: non-existing attributes are given",
    (s) => s.send(op.locate, [attributeItem("Nonsense", "a")].map(renamed("No such attribute"))),
    reason.field,
  ],
  [
    337,
    "Check cannot be performed on this object: it is destroyed",
    async (s) => s.send(op.check, [part.id(await s.destroyed())]),
    reason.illegal,
    later.destroyed,
  ],
  [
    337,
    "The client is not allowed to use the object: its mask",
    async (s) => s.send(op.check, [part.id(await s.key(4)), item.integer(tag.CryptographicUsageMask, 8)]),
    reason.denied,
    later.mask,
  ],
  [
    337,
    "The client is not allowed to use the object: its Usage Limits",
    async (s) => s.send(op.check, [part.id(await s.key(4, limited)), item.longInteger(tag.UsageLimitsCount, 100n)]),
    reason.denied,
    later.usageLimit,
  ],

  ...(
    [
      [338, "Get", op.get],
      [364, "Export", op.export],
    ] as const
  ).flatMap(([table, name, operation]): Row[] => [
    [
      table,
      `${name}: wrapping key does not exist`,
      async (s) => s.send(operation, [part.id(await s.key(12)), wrappedBy(absent)]),
      reason.notFound,
      later.wrappingNotFound,
    ],
    [
      table,
      `${name}: wrapping key is archived`,
      async (s) => s.send(operation, [part.id(await s.key(12)), wrappedBy(await s.archived(await s.key(everything)))]),
      reason.archived,
      later.wrappingArchived,
    ],
    ...(
      [
        ["an Opaque Object", (s: Server) => s.opaque()],
        ["Secret Data", (s: Server) => s.secret()],
      ] as const
    ).map(
      ([what, object]): Row => [
        table,
        `${name}: object with Encryption Key Information exists, but is not a key: ${what}`,
        async (s) => s.send(operation, [part.id(await s.key(12)), wrappedBy(await object(s))]),
        reason.illegal,
        later.objectType,
      ],
    ),
    ...(
      [
        ["its mask", (s: Server) => s.key(12), later.mask],
        ["it is not active", (s: Server) => s.key(everything, { "Activation Date": 4_000_000_000 }), later.state],
        ["it is destroyed", (s: Server) => s.destroyed(), later.wrappingDestroyed],
        ["it is an EC key", async (s: Server) => (await s.pair()).publicKey, later.denied],
      ] as const
    ).map(
      ([why, object, finer]): Row => [
        table,
        `${name}: object with Encryption Key Information is not able to be used for wrapping: ${why}`,
        async (s) => s.send(operation, [part.id(await s.key(12)), wrappedBy(await object(s))]),
        reason.denied,
        finer,
      ],
    ),
    [
      table,
      `${name}: object cannot be provided in the desired Key Format Type`,
      async (s) => s.send(operation, [part.id(await s.key(12)), item.enumeration(tag.KeyFormatType, 5)]),
      reason.format,
      later.format,
    ],
    [
      table,
      `${name}: object cannot be provided in the desired Key Compression Type`,
      async (s) => {
        const rsa = await s.made(
          op.createKeyPair,
          ...pairOf({ "Cryptographic Algorithm": 4, "Cryptographic Length": 2048 }, active(1), active(2)),
        );
        const id = String(findItem(rsa, tag.PublicKeyUniqueIdentifier)?.value);
        return s.send(operation, [part.id(id), item.enumeration(tag.KeyCompressionType, 2)]);
      },
      reason.compression,
      later.compression,
    ],
    [
      table,
      `${name}: Encoding Option not permitted with attribute names`,
      async (s) =>
        s.send(operation, [
          part.id(await s.key(12)),
          wrappedBy(
            await s.key(everything),
            item.text(tag.AttributeName, "Name"),
            item.enumeration(tag.EncodingOption, 1),
          ),
        ]),
      reason.encoding,
    ],
    [
      table,
      `${name}: Key Wrap Type is not supported by the server`,
      async (s) => s.send(operation, [part.id(await s.key(12)), item.enumeration(tag.KeyWrapType, 7)]),
      reason.feature,
      later.wrapType,
    ],
    [
      table,
      `${name}: object is Sensitive`,
      async (s) => s.send(operation, [part.id(await s.key(12, { Sensitive: true }))]),
      reason.sensitive,
      later.sensitive,
    ],
    [
      table,
      `${name}: object is not Extractable`,
      async (s) => s.send(operation, [part.id(await s.key(12, { Extractable: false }))]),
      reason.notExtractable,
      later.notExtractable,
    ],
  ]),
  [
    338,
    "Get: the server only has attributes for this object",
    async (s) => s.send(op.get, [part.id(await s.destroyed())]),
    reason.illegal,
    later.destroyed,
  ],
  [
    339,
    "The same Attribute Name is present more than once",
    async (s) => {
      const name = item.text(tag.AttributeName, "State");
      return s.send(op.getAttributes, [part.id(await s.key(12)), name, name]);
    },
    reason.message,
  ],

  [341, "Attempt to add a read-only attribute", onKey(op.addAttribute, attributeItem("State", 2)), reason.denied],
  [
    341,
    "Attempt to add an attribute that is not supported for this object",
    onKey(op.addAttribute, attributeItem("Certificate Type", 1)),
    reason.denied,
  ],
  [
    341,
    "The specified attribute already exists",
    async (s) => s.send(op.addAttribute, [part.id(await s.key(12, { "Contact Information": "b" })), comment]),
    reason.illegal,
  ],
  [
    341,
    "New attribute contains Attribute Index",
    onKey(op.addAttribute, attributeItem("Object Group", "a", 3)),
    reason.field,
  ],
  ...(
    [
      [341, op.addAttribute],
      [342, op.modifyAttribute],
    ] as const
  ).map(
    ([table, operation]): Row => [
      table,
      "the Name of another object",
      async (s) => {
        await s.key(12, { Name: named("taken") });
        const own = await s.key(12, operation === op.modifyAttribute ? { Name: named("mine") } : {});
        return s.send(operation, [part.id(own), attributeItem("Name", named("taken"))]);
      },
      reason.illegal,
    ],
  ),
  [
    341,
    "Trying to add a new instance, but the server limit has been reached",
    async (s) => {
      const id = await s.key(12);
      for (const attribute of groups.slice(1)) await s.made(op.addAttribute, part.id(id), attribute);
      return s.send(op.addAttribute, [part.id(id), groups[0] as Item]);
    },
    reason.bounds,
  ],
  ...(
    [
      [341, op.addAttribute, {}],
      [
        342,
        op.modifyAttribute,
        { "Application Specific Information": { applicationNamespace: "a", applicationData: "b" } },
      ],
    ] as const
  ).map(
    ([table, operation, before]): Row => [
      table,
      "Application Data is omitted, and the Application Namespace not supported",
      async (s) => {
        const without = attributeItem("Application Specific Information", { applicationNamespace: "backup" });
        return s.send(operation, [part.id(await s.key(12, before)), without]);
      },
      reason.namespace,
    ],
  ),
  [342, "A specified attribute does not exist", onKey(op.modifyAttribute, comment), reason.field],
  [
    342,
    "No matching attribute instance exists",
    async (s) =>
      s.send(op.modifyAttribute, [
        part.id(await s.key(12, { "Object Group": "g" })),
        attributeItem("Object Group", "a", 5),
      ]),
    reason.notFound,
  ],
  [342, "The specified attribute is read-only", onKey(op.modifyAttribute, attributeItem("State", 2)), reason.denied],
  [
    343,
    "Attempt to delete a read-only attribute",
    onKey(op.deleteAttribute, item.text(tag.AttributeName, "Cryptographic Algorithm")),
    reason.denied,
  ],
  [
    343,
    "No matching attribute instance exists",
    async (s) =>
      s.send(op.deleteAttribute, [
        part.id(await s.key(12, { "Object Group": "g" })),
        item.text(tag.AttributeName, "Object Group"),
        item.integer(tag.AttributeIndex, 5),
      ]),
    reason.notFound,
  ],
  [
    343,
    "No attribute with the specified name exists",
    onKey(op.deleteAttribute, item.text(tag.AttributeName, "Contact Information")),
    reason.notFound,
  ],
  [
    344,
    "A new lease is not permitted to be issued",
    async (s) => s.send(op.obtainLease, [part.id(await s.destroyed())]),
    reason.denied,
    later.denied,
  ],
  [345, "Object has no Usage Limits attribute", onKey(op.getUsageAllocation, usageCount), reason.illegal, later.denied],
  [
    345,
    "The object is not able to be used for applying cryptographic protection",
    async (s) => s.send(op.getUsageAllocation, [part.id(await s.key(8, limited)), usageCount]),
    reason.illegal,
    later.denied,
  ],
  [
    345,
    "No Usage Limits Count is specified",
    async (s) => s.send(op.getUsageAllocation, [part.id(await s.key(4, limited))]),
    reason.message,
    later.message,
  ],
  [
    345,
    "The server was not able to grant the requested amount of usage allocation",
    async (s) =>
      s.send(op.getUsageAllocation, [part.id(await s.key(4, limited)), item.longInteger(tag.UsageLimitsCount, 100n)]),
    reason.denied,
  ],

  ...(
    [
      ["a Template", (s: Server) => s.templateObject("t")],
      ["an Opaque Object", (s: Server) => s.opaque()],
    ] as const
  ).map(
    ([what, object]): Row => [
      346,
      `Unique Identifier specifies an object that is not able to be activated: ${what}`,
      async (s) => s.send(op.activate, [part.id(await object(s))]),
      reason.illegal,
      later.objectType,
    ],
  ),
  [346, "Object is not in Pre-Active state", onKey(op.activate), reason.denied, later.state],
  [
    347,
    "Revocation Reason is not recognized",
    onKey(op.revoke, withTag(tag.RevocationReason, item.enumeration(tag.RevocationReasonCode, 99))),
    reason.field,
    later.enumeration,
  ],
  [
    347,
    "Unique Identifier specifies a template",
    async (s) => s.send(op.revoke, [part.id(await s.templateObject("t")), revocation]),
    reason.illegal,
    later.objectType,
  ],
  [
    348,
    "Object exists, but has already been destroyed",
    async (s) => s.send(op.destroy, [part.id(await s.destroyed())]),
    reason.denied,
    later.destroyed,
  ],
  [348, "Object is not in Pre-Active, Deactivated or Compromised state", onKey(op.destroy), reason.denied, later.state],
  [351, "Nothing specifies a certificate list", (s) => s.send(op.validate, []), reason.message, later.message],
  [351, "What is named is no certificate", onKey(op.validate), reason.message, later.objectType],
  [
    351,
    "One or more of the objects is archived",
    async (s) => s.send(op.validate, [part.id(await s.archived(await s.certificate()))]),
    reason.archived,
    later.archived,
  ],
  [
    352,
    "No outstanding operation with the specified Asynchronous Correlation Value",
    (s) => s.send(op.poll, [item.bytes(tag.AsynchronousCorrelationValue, Buffer.alloc(16))]),
    reason.notFound,
    0x2b,
  ],
];

function renamed(name: string): (attribute: Item) => Item {
  return () => withTag(tag.Attribute, item.text(tag.AttributeName, name), item.text(tag.AttributeValue, "a"));
}

testReasons([...rows, ...objectRows]);
