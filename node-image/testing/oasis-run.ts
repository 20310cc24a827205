import { relative } from "node:path";
import { choiceFor, NoCases, type OasisCase, oasisCases } from "./oasis-cases.ts";
import { defects } from "./oasis-defects.ts";
import { type OasisNode, startOasisNode } from "./oasis-node.ts";
import { newSeries, playCase } from "./oasis-play.ts";

/** Usage: node node-image/testing/oasis-run.ts DIR... : executes every OASIS XML test case in the folders against nodes of its own. */
const folders = process.argv.slice(2);
if (folders.length === 0) {
  console.error("usage: npm run oasis -- DIR...   folders with the XML files of OASIS KMIP test cases");
  process.exit(2);
}

const total = { passed: 0, failed: 0, defective: 0 };
// Each series of cases is a client of its own; those that want the same of the server's owner share a node.
const series = [...Map.groupBy(readCases(), (each) => each.series)];
for (const [choice, group] of Map.groupBy(series, ([, members]) => JSON.stringify(choiceFor(members)))) {
  const node = await startOasisNode(JSON.parse(choice));
  try {
    for (const [name, members] of group) await playSeries(node, name, members);
  } finally {
    await node.stop();
  }
}
if (total.defective > 0) console.log(`${total.defective} files are defective and not counted`);
console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;

function readCases(): OasisCase[] {
  try {
    return oasisCases(folders);
  } catch (error) {
    if (!(error instanceof NoCases)) throw error;
    console.error(error.message);
    process.exit(1);
  }
}

async function playSeries(node: OasisNode, series: string, members: readonly OasisCase[]): Promise<void> {
  const client = await node.client(series);
  const known = newSeries();
  try {
    for (const each of members) tell(each, await playCase(each, client.exchange, known).catch(problem));
  } finally {
    client.close();
  }
}

function problem(error: Error): string[] {
  return [error.message];
}

function tell(each: OasisCase, differences: readonly string[]): void {
  const file = relative(".", each.file);
  const defect = defects.get(each.name);
  if (differences.length === 0) {
    total.passed += 1;
    console.log(`passed ${file}`);
  } else if (defect !== undefined && differences.every((line) => defect.difference.test(line))) {
    total.defective += 1;
    console.log(`defective ${file}: ${defect.why}`);
  } else {
    total.failed += 1;
    console.log(
      `FAILED ${file}\n${differences
        .slice(0, 8)
        .map((line) => `         ${line}`)
        .join("\n")}`,
    );
  }
}
