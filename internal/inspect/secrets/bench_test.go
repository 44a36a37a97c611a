package secrets

import (
	"strings"
	"testing"
)

// script is about 1 MB of JavaScript as npm packages have it.
func script() []byte {
	const text = `"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.createProgram = void 0;
var _helper_plugin_utils = require("@babel/helper-plugin-utils");
/**
 * Returns a new function that wraps the given one, keeping its arguments.
 * @param {Function} func the function to wrap; see https://example.org/wrap
 */
function wrapFunction(func, options) {
  const opts = Object.assign({}, DEFAULT_OPTIONS, options || {});
  return function wrapped(...args) {
    if (!opts.enabled || args.length === 0) { return func.apply(this, args); }
    const result = func.call(this, args.map((a) => normalise(a, opts.depth)));
    return (0, _helper_plugin_utils.declare)(result, { name: "wrap-function" });
  };
}
!function(e,t){"object"==typeof exports&&"undefined"!=typeof module?module.exports=t():e.dayjs=t()}(this,(function(){var e=1e3,t=6e4,n=36e5,r="millisecond",i="second"}));
`
	return []byte(strings.Repeat(text, Limit/len(text)))
}

func BenchmarkScan(b *testing.B) {
	small := script()[:3000]
	for name, content := range map[string][]byte{"large": script(), "small": small, "letters": []byte(strings.Repeat("sk_AKIgh", Limit/8))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			for b.Loop() {
				if len(Scan("app/node_modules/x/index.js", content, nil)) > 0 {
					b.Fatal("found a secret")
				}
			}
		})
	}
}

func BenchmarkWants(b *testing.B) {
	head := script()[:512]
	for b.Loop() {
		Wants("app/node_modules/x/index.js", 3000, head)
	}
}
