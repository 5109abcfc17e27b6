// Package soak is a load test that anyone can run: many users on few documents, on each framework, while
// the connections to Redis are killed again and again.
//
//	EDITLOCK_SOAK=60s go test -v -run TestSoak ./soak
//
// The rule it keeps: between a 200 on acquire and the release that follows, no other user is let in; the
// fences that a document's holders are given never fall; what was saved stands until the holder lets go;
// and in the end nothing is left running. EDITLOCK_SOAK is how long each framework is under load, 5 s by
// default. It prints what it did.
package soak
