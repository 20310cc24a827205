import type { NodeStore } from "../store/types.ts";
import type { PeerConnection } from "./peer-connection.ts";

/** A peer whose software does not know the function yet. */
const undefinedFunction = "42883";

/** Takes over what a peer knows of the ends of departed logs: this node may have been away, or not yet here, when they were listed. Returns whether any rose. */
export async function askFences(connection: PeerConnection, store: NodeStore): Promise<boolean> {
  try {
    const [row] = await connection.query("select f from mesh.fences() f");
    return row !== undefined && store.takeFences(row.f);
  } catch (error) {
    if ((error as { code?: unknown }).code !== undefinedFunction) throw error;
    return false;
  }
}
