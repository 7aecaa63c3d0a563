package resp

import (
	"strconv"
	"time"
)

func (s *Session) describeClient() []byte {
	b := append([]byte(nil), "id="...)
	b = strconv.AppendInt(b, s.id, 10)
	b = append(b, " addr="...)
	b = append(b, s.remote...)
	b = append(b, " name="...)
	b = append(b, s.name...)
	b = append(b, " db=0 sub="...)
	b = strconv.AppendInt(b, int64(s.channels.len()), 10)
	b = append(b, " psub=0 user=default resp="...)
	if s.resp3 {
		b = append(b, '3')
	} else {
		b = append(b, '2')
	}
	b = append(b, " lib-name="...)
	b = append(b, s.library[0]...)
	b = append(b, " lib-ver="...)
	b = append(b, s.library[1]...)
	return append(b, '\n')
}

func (s *Session) dbsize() { s.out = appendInt(s.out, s.shared.backend.Info().Profiles) }

// info prints the sections that were asked for, all by default. Clients look at loading and role.
func (s *Session) info() {
	var b []byte
	section := func(name string, lines func()) {
		if !s.wantsSection(name) {
			return
		}
		if len(b) > 0 {
			b = append(b, "\r\n"...)
		}
		b = append(b, "# "...)
		b = append(b, name...)
		b = append(b, "\r\n"...)
		lines()
	}
	text := func(name, value string) {
		b = append(b, name...)
		b = append(b, ':')
		b = append(b, value...)
		b = append(b, "\r\n"...)
	}
	number := func(name string, n int64) { text(name, strconv.FormatInt(n, 10)) }

	i, st := s.shared.backend.Info(), s.shared.stats()
	section("Server", func() {
		text("redis_version", speaks)
		text("redis_mode", "standalone")
		text("dashi_version", i.Version)
		number("uptime_in_seconds", int64(i.Uptime/time.Second))
		number("uptime_in_days", int64(i.Uptime/(24*time.Hour)))
	})
	section("Clients", func() {
		number("connected_clients", st.Connections)
		number("maxclients", int64(s.shared.limits.Connections))
		number("pubsub_clients", st.Subscribers)
	})
	section("Persistence", func() {
		number("loading", 0)
	})
	section("Stats", func() {
		number("total_connections_received", int64(st.Accepted))
		number("total_commands_processed", int64(st.Commands))
		number("total_net_input_bytes", int64(st.BytesIn))
		number("total_net_output_bytes", int64(st.BytesOut))
		number("rejected_connections", int64(st.Refused))
		number("keyspace_hits", int64(st.Hits))
		number("keyspace_misses", int64(st.Misses))
		number("total_error_replies", int64(st.Failures))
		number("dashi_events_applied", int64(i.Events))
		number("dashi_activations_pushed", int64(st.Pushed))
		number("dashi_slow_subscribers", int64(st.SlowSubscribers))
	})
	section("Replication", func() {
		text("role", "master")
		number("connected_slaves", 0)
		number("dashi_behind_entries", int64(i.Behind))
	})
	section("Cluster", func() { number("cluster_enabled", 0) })
	section("Keyspace", func() {
		if i.Profiles > 0 {
			text("db0", "keys="+strconv.FormatInt(i.Profiles, 10)+",expires=0,avg_ttl=0")
		}
	})
	s.out = appendBulk(s.out, b)
}

func (s *Session) wantsSection(name string) bool {
	if len(s.args) == 1 {
		return true
	}
	var upper [maxName]byte
	want := upperCase(upper[:0], []byte(name))
	for _, a := range s.args[1:] {
		if is(a, string(want)) || is(a, "ALL") || is(a, "EVERYTHING") || is(a, "DEFAULT") {
			return true
		}
	}
	return false
}

// config answers CONFIG GET with the settings that tools read before they start. There is nothing to set.
func (s *Session) config() {
	if !is(s.args[1], "GET") {
		s.failShown("ERR CONFIG ", s.args[1], ": settings are in dashi's own configuration")
		return
	}
	if len(s.args) < 3 {
		s.wrongArity("config|get")
		return
	}
	l := &s.shared.limits
	settings := [...][2]string{
		{"appendonly", "no"},
		{"databases", "1"},
		{"maxclients", strconv.Itoa(l.Connections)},
		{"maxmemory", "0"},
		{"save", ""},
		{"timeout", strconv.Itoa(int(l.Idle / time.Second))},
	}
	var chosen [][2]string
	for _, st := range settings {
		var upper [maxName]byte
		name := string(upperCase(upper[:0], []byte(st[0])))
		for _, a := range s.args[2:] {
			if string(a) == "*" || is(a, name) {
				chosen = append(chosen, st)
				break
			}
		}
	}
	s.openMap(len(chosen))
	for _, st := range chosen {
		s.pair(st[0], st[1])
	}
}
