import { addAttribute, deleteAttribute, modifyAttribute } from "../operations/change-attributes.ts";
import { getAttributeList, getAttributes } from "../operations/get-attributes.ts";
import { adjustAttribute, setAttribute } from "../operations/set-attribute.ts";
import * as payload from "./payloads-attributes.ts";
import { type Route, route } from "./route.ts";

/** Reading and changing attributes. */
export const attributeRoutes: readonly Route[] = [
  route({ operation: 0x0b, name: "Get Attributes", since: 10, ...payload.getAttributes, run: getAttributes }),
  route({
    operation: 0x0c,
    name: "Get Attribute List",
    since: 10,
    ...payload.getAttributeList,
    run: getAttributeList,
  }),
  route({ operation: 0x0d, name: "Add Attribute", since: 10, ...payload.changeAttribute, run: addAttribute }),
  route({ operation: 0x0e, name: "Modify Attribute", since: 10, ...payload.changeAttribute, run: modifyAttribute }),
  route({
    operation: 0x0f,
    name: "Delete Attribute",
    since: 10,
    request: payload.deleteAttributeRequest,
    run: deleteAttribute,
    response: payload.changeAttribute.response,
  }),
  route({
    operation: 0x30,
    name: "Adjust Attribute",
    since: 20,
    request: payload.adjustAttributeRequest,
    run: adjustAttribute,
    response: payload.changeAttribute.response,
  }),
  route({ operation: 0x31, name: "Set Attribute", since: 20, ...payload.changeAttribute, run: setAttribute }),
];
