package conformance

var browserCases = group{"browsers", []testCase{
	{"a cross-site request changes nothing", everywhere, crossSiteRefused},
	{"a trusted origin may", everywhere, trustedOrigins},
}}

// crossSiteRefused: Sec-Fetch-Site decides where the browser sends it, else Origin against Host.
func crossSiteRefused(b *trial) {
	s := b.serve(func(app *App) { app.TakeOver = everyoneMay })
	ann, bob := s.as("1"), s.as("2")
	at := s.lock("draft")
	ann.do("POST", at).want(granted(hold{}))
	host := "http://" + s.addr
	refused := [][]string{
		{"Sec-Fetch-Site: cross-site"}, {"Sec-Fetch-Site: same-site"}, {"Sec-Fetch-Site: nonsense"},
		{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, {"Sec-Fetch-Site: cross-site", "Origin: " + host},
		{"Origin: https://evil.example"}, {"Origin: null"}, {"Origin: http://" + s.addr + ".evil.example"}, {"Origin: http://127.0.0.1"},
		{"Origin: " + host, "Host: locks.example.com"},
	}
	for _, headers := range refused {
		ann.do("POST", at, headers...).want(crossSite)
		ann.do("DELETE", at, headers...).want(crossSite)
		bob.post(s.takeover("draft"), fenceBody(b.fence("f")), headers...).want(crossSite)
		// Looking changes nothing.
		ann.do("GET", at, headers...).want(status(hold{mine: true}.object(), "a"))
		ann.do("GET", s.bulk("uid=draft"), headers...).want(bulk("b", hold{mine: true}.object()))
		ann.do("HEAD", at, headers...).want(status("", "a"))
	}
	for _, headers := range [][]string{
		{"Sec-Fetch-Site: same-origin"}, {"Sec-Fetch-Site: none"}, {"Sec-Fetch-Site: same-origin", "Origin: " + host},
		{"Origin: " + host}, {"Origin: https://locks.example.com", "Host: locks.example.com"},
		{"Origin: https://locks.example.com:8443", "Host: locks.example.com:8443"},
		{}, // no browser
	} {
		ann.do("POST", at, headers...).want(granted(hold{renewed: true}))
		bob.do("DELETE", at, headers...).want(noContent)
	}
}

func trustedOrigins(b *trial) {
	s := b.serve(func(app *App) { app.TrustedOrigins = []string{"https://admin.example.com"} })
	ann := s.as("1")
	at := s.lock("draft")
	for _, headers := range [][]string{
		{"Origin: https://admin.example.com"}, {"Origin: https://admin.example.com", "Sec-Fetch-Site: cross-site"},
		{"Origin: https://admin.example.com", "Sec-Fetch-Site: same-site"},
	} {
		ann.do("POST", at, headers...).answered(200)
		ann.do("DELETE", at, headers...).want(noContent)
	}
	for _, headers := range [][]string{
		{"Origin: http://admin.example.com"}, {"Origin: https://admin.example.com:8443"}, {"Origin: https://example.com"},
		{"Sec-Fetch-Site: cross-site"},
	} {
		ann.do("POST", at, headers...).want(crossSite)
	}
}
