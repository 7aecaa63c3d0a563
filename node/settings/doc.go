// Package settings is everything that a node can be told, as one tree that mirrors deploy/dashi.yml. It reads a file over the defaults, puts values of the
// environment in (environment.go), and says what is wrong, all of it at once: Check by the settings alone, CheckMachine by a look at what they name on this
// machine, too. It opens and changes nothing.
package settings
