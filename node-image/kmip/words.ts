/** The word that XML and JSON have for a name of the specification (KMIP Profiles 1.4, 5.4.1: "Normalizing Names"). */
export function wordOf(name: string): string {
  const [first = "", ...rest] = name
    .replace(/[()]/g, " ")
    .replace(/[^\w\s](?=[A-Za-z][a-z])/g, " ")
    .replace(/[^\w\s]/g, "_")
    .split(/\s+/)
    .filter((word) => word !== "");
  const digits = /^\d+/.exec(first)?.[0] ?? "";
  return [`${first.slice(digits.length)}${digits}`, ...rest].map(capitalised).join("");
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
