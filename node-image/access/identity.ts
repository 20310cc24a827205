/** Who is calling: the client certificate, in words. */
export interface Caller {
  /** Subject and issuer by RFC 2253; what owns objects. Two authorities may certify one subject: they are two callers. */
  readonly identity: string;
  /** Subject alone, for logs. */
  readonly subject: string;
}

/** Makes the caller of a certificate whose names are given as OpenSSL prints them: one part a line, in encoding order, escaped. */
export function callerOf(subjectLines: string, issuerLines: string): Caller {
  const subject = distinguishedName(subjectLines);
  // Every "," inside a value is escaped, so the separator cannot be forged by a name.
  return { identity: `${subject},issuer(${distinguishedName(issuerLines)})`, subject };
}

/** RFC 2253: last part first. The lines carry that RFC's escapes already, control characters (line ends) included. */
export function distinguishedName(lines: string): string {
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .toReversed()
    .join(",");
}
