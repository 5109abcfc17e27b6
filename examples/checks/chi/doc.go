// Package chi proves that nethttpmw works on chi as it is: there is no adapter for chi, and none is needed.
//
//	r := chi.NewRouter()
//	lock.Register(r)
//	r.With(lock.Guard("uid")).Put("/drafts/{uid}", save)
//
// It is in a module of its own, so that the library's users do not inherit chi.
package chi
