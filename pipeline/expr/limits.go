package expr

// MaxSource is the length of an expression in bytes. The longest condition among the recipes has 300.
const MaxSource = 4 << 10

// MaxDepth is how deep an expression may nest. The compiler, cel-go's checker and the closures recurse.
const MaxDepth = 60

// MaxNodes is how many nodes an expression may have after its macros are expanded.
const MaxNodes = 4000

// MaxString is the length in bytes of a string that + builds; a longer one is absent. It is the limit of
// event.DefaultLimits.StringBytes, because built strings end up in profiles as read ones do.
const MaxString = 4 << 10

// maxUnroll is how many literal elements [..].exists and [..].all may have to be written out as || and &&.
const maxUnroll = 32

// maxUnrolled is how many nodes that may make. Lists inside lists multiply; beyond it they stay loops.
const maxUnrolled = 400

// maxRegexp is the size of a compiled pattern, in steps. With strings of 4 KB a match takes milliseconds at worst.
const maxRegexp = 2000

// maxCost bounds what the interpreter may do in one evaluation, in its own units (about one an operation).
// Beyond it, after some ten milliseconds, the outcome is absent. Nested loops over sets need it; nothing else comes near.
const maxCost = 100_000

// scratchChunk is what Env.Scratch grows by: room for about a hundred names.
const scratchChunk = 4 << 10

// Times are valid in the years 1 to 9999, as in CEL. Durations span what cel-go's nanoseconds can hold.
const (
	minTime     = -62135596800000
	maxTime     = 253402300799999
	maxDuration = 9223372036854
	// maxExact is the largest integer up to which all are exact in a double.
	maxExact = 1 << 53
)
