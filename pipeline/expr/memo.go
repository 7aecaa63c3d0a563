package expr

// Memo is what an Env remembers of one derived attribute: many conditions on a profile read the same few, such as a score.
type Memo struct {
	pass   uint64 // of number
	number float64
	ok     bool

	changes      uint64 // the pass of until and slope
	until, slope int64
}

// Remember has derived numbers and times be computed once, and when they change by time, until Forget. Nothing but Audiences and
// Scratch may change in between.
func (env *Env) Remember() {
	if len(env.Memos) > 0 {
		env.last++
		env.pass = env.last
	}
}

// Forget ends what Remember began.
func (env *Env) Forget() { env.pass = 0 }

// rememberNum is num for attribute i.
func rememberNum(i int, num Num) Num {
	return func(env *Env) (float64, bool) {
		if env.pass == 0 {
			return num(env)
		}
		m := &env.Memos[i]
		if m.pass != env.pass {
			m.number, m.ok = num(env)
			m.pass = env.pass
		}
		return m.number, m.ok
	}
}

// rememberChange is next for attribute i.
func rememberChange(i int, next change) change {
	if next == nil {
		return nil
	}
	return func(env *Env) (until, slope int64) {
		if env.pass == 0 {
			return next(env)
		}
		m := &env.Memos[i]
		if m.changes != env.pass {
			m.until, m.slope = next(env)
			m.changes = env.pass
		}
		return m.until, m.slope
	}
}
