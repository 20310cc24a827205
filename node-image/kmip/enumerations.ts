import { cryptographyEnumerations } from "./enumerations-cryptography.ts";
import { messagesEnumerations } from "./enumerations-messages.ts";
import { objectsEnumerations } from "./enumerations-objects.ts";

/** The enumerations that are spoken here, by the name of the field that has them. */
export const enumerations = { ...cryptographyEnumerations, ...objectsEnumerations, ...messagesEnumerations } as const;
