import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The root of the checkout. */
export const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Where what is built outside the checkout is kept: programs, file systems, images. */
export const cache =
  process.env["KEYFLEET_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "keyfleet");

/** The image layout (OCI) that images.sh writes. */
export const imageLayout = join(cache, "images");
