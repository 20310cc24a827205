import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { after, before, test } from "node:test";
import pg from "pg";
import { startPostgres, type TestPostgres } from "../testing/postgres.ts";
import { arrayOf } from "./array-parameter.ts";

let postgres: TestPostgres;
let client: pg.Client;

before(async () => {
  postgres = await startPostgres();
  const { socketDirectory: host, port } = postgres;
  client = new pg.Client({ host, port, user: "keyfleet", database: "postgres" });
  await client.connect();
});
after(async () => {
  await client?.end();
  await postgres?.stop();
});

const uuids = [randomUUID(), "00000000-0000-0000-0000-000000000000", "01234567-89ab-cdef-0123-456789abcdef"];
const bytes = [randomBytes(300), Buffer.alloc(0), null, Buffer.from([0, 0x5c, 0x22, 0xff])];
const texts = ["", "plain", 'quotes " and \\ and {braces},', "NULL", "größer als 🔑", "x".repeat(5_000)];
const numbers = ["0", "-1", "9007199254740991", "9223372036854775807", "-9223372036854775808"];

const cases: readonly [string, string, Buffer, readonly unknown[]][] = [
  ["UUIDs", "uuid", arrayOf.uuids(uuids), uuids],
  ["numbers to the ends of their range", "bigint", arrayOf.bigints(numbers.map(BigInt)), numbers],
  ["numbers that are no bigints", "bigint", arrayOf.bigints([7, 2 ** 40]), ["7", String(2 ** 40)]],
  ["truth values", "boolean", arrayOf.booleans([true, false, true]), [true, false, true]],
  ["texts of any characters", "text", arrayOf.texts(texts), texts],
  ["bytes of any value, none, and NULL", "bytea", arrayOf.byteas(bytes), bytes],
  ["no UUID", "uuid", arrayOf.uuids([]), []],
  ["no text", "text", arrayOf.texts([]), []],
];

for (const [what, type, parameter, expected] of cases) {
  test(`PostgreSQL reads ${what} as they were given`, async () => {
    const { rows } = await client.query(`select $1::${type}[] as found, cardinality($1::${type}[]) as amount`, [
      parameter,
    ]);
    assert.deepEqual(rows[0], { found: expected, amount: expected.length });
  });
}

test("a text that PostgreSQL cannot keep is refused by it, and the connection goes on", async () => {
  const refused = client.query("select $1::text[]", [arrayOf.texts(["a\0b"])]);
  await assert.rejects(refused, { code: "22021" });
  assert.equal((await client.query("select 1 as one")).rows[0].one, 1);
});
