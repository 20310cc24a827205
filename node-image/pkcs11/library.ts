import { accessSync, constants } from "node:fs";
import pkcs11js from "pkcs11js";
import { calling, tolerating } from "./return-values.ts";
import { Trouble } from "./trouble.ts";

/** One thread's door to the vendor's library; calls are synchronous only (the callback forms crash or leak). */
export type Library = pkcs11js.PKCS11;

/** Loads the library into this thread. Throws Trouble "LibraryMissing" and says what to check. */
export function loadLibrary(path: string): Library {
  try {
    accessSync(path, constants.R_OK);
  } catch {
    throw new Trouble(
      "LibraryMissing",
      `there is no readable PKCS#11 library at ${path}; check settings.hsm.library and the node image`,
    );
  }
  const library = new pkcs11js.PKCS11();
  try {
    library.load(path);
  } catch (error) {
    const detail = error instanceof Error ? error.message.split("\n")[0] : "";
    throw new Trouble(
      "LibraryMissing",
      `the PKCS#11 library ${path} cannot be loaded (${detail}); check settings.hsm.library`,
    );
  }
  return library;
}

/** C_Initialize for use by several threads; another thread may have done it before. */
export function initialize(library: Library): void {
  tolerating(pkcs11js.CKR_CRYPTOKI_ALREADY_INITIALIZED, () =>
    library.C_Initialize({ flags: pkcs11js.CKF_OS_LOCKING_OK }),
  );
}

/** C_Finalize, which ends every thread's sessions; a library that was never initialized is fine. */
export function finalize(library: Library): void {
  tolerating(pkcs11js.CKR_CRYPTOKI_NOT_INITIALIZED, () => library.C_Finalize());
}

/** Opens a session on the slot, for reading and writing token objects when asked. */
export function openSession(library: Library, slot: Buffer, access: "read" | "write" = "read"): Buffer {
  const flags = pkcs11js.CKF_SERIAL_SESSION | (access === "write" ? pkcs11js.CKF_RW_SESSION : 0);
  return calling(() => library.C_OpenSession(slot, flags));
}

/** Every object that matches, at most `most`. */
export function findObjects(
  library: Library,
  session: Buffer,
  search: { template: pkcs11js.Template; most: number },
): Buffer[] {
  return calling(() => {
    library.C_FindObjectsInit(session, search.template);
    try {
      return library.C_FindObjects(session, search.most);
    } finally {
      library.C_FindObjectsFinal(session);
    }
  });
}
