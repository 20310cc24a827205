/** Why an operation of KMIP 1.0 to 2.1 is not served; what is not in this table and not in the router is an error of ours. */
export const notServed: ReadonlyMap<number, string> = new Map([
  [0x1b, "sent by servers: this one tells its clients nothing on its own account"],
  [0x1c, "sent by servers: this one hands out objects only to those who ask for them"],
  [0x35, "client certificates come from the authority that the fleet's owner names, not from the server"],
]);
