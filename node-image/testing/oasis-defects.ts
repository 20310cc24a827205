/** The defect of a file, and all that a good server's answers differ in for it: whatever else differs is no defect of the file. */
export interface Defect {
  readonly why: string;
  readonly difference: RegExp;
}

/** Files that no server can pass as they stand. A file of the same name without the defect passes and counts. */
export const defects: ReadonlyMap<string, Defect> = new Map([
  [
    "OMOS-O-1-14",
    {
      why: "line 79: the answer to Destroy has Protocol Version 1.3, while its request (line 63) and the rest of the file have 1.4",
      difference: /^message 3: ProtocolVersionMinor: 4 instead of 3$/,
    },
  ],
  [
    "SKFF-O-6-11",
    {
      why: "line 363: the answer to Get Attribute List has Object Group, which no request of the file gives the key; the same case for 1.0 and for 1.2 (SKFF-O-6-10, SKFF-O-6-12) is without it",
      difference: /^message 17: no AttributeName Object Group$/,
    },
  ],
  [
    "CS-BC-M-6-13",
    {
      why: "the answer to Encrypt has Data fd912d102dbb482f6f6e91bd57119095; AES-128 in ECB of the request's data under the request's key is d9bcce11b0b437b90239552df3a360c9, as the same case for 1.4 (CS-BC-M-6-14) has it",
      difference:
        /^message \d+: Data: \W*d9bcce11b0b437b90239552df3a360c9\W* instead of \W*fd912d102dbb482f6f6e91bd57119095\W*$/i,
    },
  ],
]);
