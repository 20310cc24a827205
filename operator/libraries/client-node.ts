/** Of client-node what the base class uses when it is constructed: the kubeconfig, and a client that nobody asks. */
export { KubeConfig } from "@kubernetes/client-node/dist/config.js";
export { CoreV1Api } from "./never-called.ts";
