import { readFileSync } from "node:fs";

/** What the builder of images takes from a Containerfile. */
export interface ImageRecipe {
  /** Files and folders of the checkout that stage `source` copies. */
  readonly sources: readonly string[];
  /** `NAME=value`, from the last stage. */
  readonly environment: readonly string[];
  readonly user: string;
  readonly workingDirectory: string;
  /** Empty: the pod says what runs. */
  readonly command: readonly string[];
}

/** Reads a Containerfile; throws when it lacks the stage `source` or the last stage lacks USER or WORKDIR. */
export function readRecipe(file: string): ImageRecipe {
  const stages = readFileSync(file, "utf8").split(/^FROM /m);
  const source = stages.find((stage) => /^\S+ AS source\n/.test(stage)) ?? "";
  const last = stages.at(-1) ?? "";
  const copies = values(source, "COPY").flatMap((line) => line.split(/\s+/).slice(0, -1));
  const [user, workingDirectory] = [values(last, "USER")[0], values(last, "WORKDIR")[0]];
  if (copies.length === 0 || !user || !workingDirectory) {
    throw new Error(`${file}: needs a stage "source" with COPY lines, and USER and WORKDIR in its last stage`);
  }
  return { sources: copies, environment: values(last, "ENV"), user, workingDirectory, command: [] };
}

function values(stage: string, word: string): string[] {
  return [...stage.matchAll(new RegExp(`^${word} (.+)$`, "gm"))].map((match) => match[1] ?? "");
}
