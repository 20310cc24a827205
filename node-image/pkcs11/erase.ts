import pkcs11js from "pkcs11js";
import { readCustody, writeCustody } from "./custody.ts";
import { joinKeyLabel } from "./join-key.ts";
import { finalize, findObjects, initialize, type Library, loadLibrary, openSession } from "./library.ts";
import { LoginKeeper } from "./login.ts";
import { choiceOf } from "./opening.ts";
import { withPin } from "./pin.ts";
import { calling } from "./return-values.ts";
import type { CustodySettings } from "./thread-messages.ts";
import { findToken } from "./token.ts";
import { Trouble } from "./trouble.ts";
import { findWrappingKey, type OpenToken } from "./wrapping-key.ts";

/** A node makes three objects; more under its name are not understood. */
const mostOfANode = 8;

/**
 * Destroys the keys of a node that has departed inside its token: what they sealed, wherever copies of it are, is lost for
 * good. Only what this node made is destroyed, and only while the wrapping key is the very one that it had, known by its check
 * value: a key that others may use is left to people. Answers how many objects were destroyed, 0 when this node never had a
 * key or they are gone already. Throws Trouble or TokenFailure; may be called again.
 */
export function eraseKeys(settings: CustodySettings): number {
  const { wrappingKey } = readCustody(settings.stateFolder);
  if (wrappingKey === undefined) return 0;
  const library = loadLibrary(settings.library);
  initialize(library);
  try {
    const open = opened(library, settings);
    const found = findWrappingKey(open, settings.keyLabel);
    if (found !== undefined && found.checkValue !== wrappingKey.checkValue) throw another(open, settings.keyLabel);
    if (found !== undefined && found.madeFor !== settings.node) throw notItsOwn(open, settings.keyLabel);
    const labels = [settings.keyLabel, joinKeyLabel(settings.keyLabel)];
    const destroyed = labels.reduce((count, label) => count + destroyAll(open, label, settings.node), 0);
    const { wrappingKey: _gone, ...custody } = readCustody(settings.stateFolder);
    writeCustody(settings.stateFolder, custody);
    return destroyed;
  } finally {
    finalize(library);
  }
}

function opened(library: Library, settings: CustodySettings): OpenToken {
  const { pinFile, stateFolder } = settings;
  const token = findToken(library, choiceOf(settings));
  const session = openSession(library, token.slot, "write");
  const place = { library, session, token, choice: choiceOf(settings), stateFolder };
  withPin(pinFile, (pin) => new LoginKeeper().login(place, pin));
  return { library, session, token };
}

function destroyAll(open: OpenToken, label: string, node: string): number {
  const { library, session } = open;
  const all = madeBy(open, label, node);
  for (const handle of all) calling(() => library.C_DestroyObject(session, handle));
  const left = madeBy(open, label, node).length;
  if (left > 0) throw new Trouble("DeviceLost", `the token still shows ${left} objects labelled '${label}'`);
  return all.length;
}

function madeBy({ library, session }: OpenToken, label: string, node: string): Buffer[] {
  const template = [
    { type: pkcs11js.CKA_TOKEN, value: true },
    { type: pkcs11js.CKA_LABEL, value: label },
    { type: pkcs11js.CKA_ID, value: Buffer.from(node) },
  ];
  return findObjects(library, session, { template, most: mostOfANode });
}

function another({ token }: OpenToken, label: string): Trouble {
  const message = `the key '${label}' in token '${token.label}' is not the one that this node had; nothing was destroyed, look at it by hand`;
  return new Trouble("KeyMissing", message);
}

function notItsOwn({ token }: OpenToken, label: string): Trouble {
  const message = `the key '${label}' in token '${token.label}' was not made by this node, so others may need it; nothing was destroyed: do it by hand when none does`;
  return new Trouble("KeyMissing", message);
}
