/** The code broke a rule that holds for every input. */
export class Finding extends Error {}
