// What the page needs of Vega: to parse a compiled specification, to run it, and to interpret its
// expressions without eval, which the page's Content-Security-Policy forbids.
import * as encode from "vega-encode";
import * as layout from "vega-view-transforms";
import * as tuples from "vega-transforms";
import { transforms } from "vega-dataflow";

Object.assign(transforms, tuples, layout, encode);

export { expressionInterpreter } from "vega-interpreter";
export { parse } from "vega-parser";
export { View } from "vega-view";
