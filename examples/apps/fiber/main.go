// Command fiber is the office on fiber v3, with its session middleware:
//
//	cd examples/apps && go run ./fiber
package main

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v3"
	"github.com/gofiber/fiber/v3/extractors"
	"github.com/gofiber/fiber/v3/middleware/csrf"
	"github.com/gofiber/fiber/v3/middleware/helmet"
	"github.com/gofiber/fiber/v3/middleware/recover"
	"github.com/gofiber/fiber/v3/middleware/session"
	"github.com/gofiber/fiber/v3/middleware/static"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/core/rest"
	"github.com/editlock/editlock/examples/apps/internal/office"
	"github.com/editlock/editlock/fibermw/v3"
)

func main() { office.Main(newServer) }

type server struct {
	*office.App
	sessions *session.Store
}

func newServer(app *office.App) (office.Server, error) {
	lock, err := fibermw.New(app.Locker, fibermw.Config{
		User: func(c fiber.Ctx) core.User {
			account := accountOf(c)
			return core.User{ID: core.ID(account.ID), Name: account.Name} // id 0 is nobody
		},
		Authorize: func(c fiber.Ctx, _ core.User, uids ...string) error {
			return app.Drafts.Authorize(c.Context(), accountOf(c), uids...)
		},
		TakeOver: func(c fiber.Ctx, _ core.User, _ core.Status) bool { return accountOf(c).Admin },
		Error:    func(c fiber.Ctx, r *rest.Response) { office.Rewrite(r, c.Path(), accountOf(c), c.FormValue("body")) },
	})
	if err != nil {
		return nil, err
	}
	sessions, store := session.NewWithStore(session.Config{IdleTimeout: 8 * time.Hour, CookieHTTPOnly: true})
	protected := csrf.New(csrf.Config{Session: store, CookieHTTPOnly: true,
		Extractor: extractors.Chain(extractors.FromHeader(csrf.HeaderName), extractors.FromForm("_csrf"))})
	s := &server{app, store}
	f := fiber.New(fiber.Config{
		ErrorHandler: answerError, BodyLimit: office.MaxBody, ReadTimeout: 10 * time.Second,
		ReadBufferSize:    64 << 10, // 4 kB, the default, is short for 200 uids in a query
		ReduceMemoryUsage: true,     // or each request that waits keeps a buffer of that size
	})
	f.Use(recover.New(), helmet.New(helmet.Config{ContentSecurityPolicy: office.ContentSecurityPolicy}))
	f.Use("/assets", static.New("", static.Config{FS: office.Assets()}))
	f.Get("/metrics", app.Metrics)
	lock.ServeBrowser(f, "/editlock.js")
	f.Get("/healthz", s.handleHealth)
	// The lock routes refuse other sites by themselves. They only read the session: the middleware writes it at the end of
	// each request, and one that has waited while its user logged out would bring the session back.
	f.Use(s.loadAccount)
	lock.Register(f) // POST, DELETE, GET ... /api/lock/:uid/

	f.Use(sessions, protected)
	f.Get("/login", func(c fiber.Ctx) error { return render(c, http.StatusOK, "login.html", office.Page{}) })
	f.Post("/login", s.logIn)
	f.Post("/logout", s.logOut)
	f.Get("/", s.list)
	f.Get("/drafts/:uid", s.draft)
	f.Get("/api/drafts/:uid", s.draft)
	saving := lock.Guard("uid", fibermw.GuardConfig{RequireFence: true})
	f.Post("/drafts/:uid", saving, s.save) // a form
	f.Put("/api/drafts/:uid", saving, s.save)
	publishing := lock.Guard("uid", fibermw.GuardConfig{RequireFence: true, ReleaseOnSuccess: true})
	f.Post("/drafts/:uid/publish", publishing, s.publish)
	s.registerAdmin(f)
	run := func(l net.Listener) error { return f.Listener(l, fiber.ListenConfig{DisableStartupMessage: true}) }
	return office.Funcs{Run: run, End: f.ShutdownWithContext}, nil
}

type accountKey struct{}

// loadAccount leaves who has logged in for the handlers and for editlock's hooks.
func (s *server) loadAccount(c fiber.Ctx) error {
	current, err := s.sessions.Get(c)
	if err != nil {
		return err
	}
	id, _ := current.Get("account").(int64) // 0 if nobody has
	current.Release()
	account, err := s.Accounts.Get(c.Context(), id)
	if err != nil {
		return err
	}
	c.Locals(accountKey{}, account)
	return c.Next()
}

func accountOf(c fiber.Ctx) office.Account {
	return fiber.Locals[office.Account](c, accountKey{}) // the zero Account where nobody has logged in
}

func (s *server) logIn(c fiber.Ctx) error {
	account, err := s.Accounts.LogIn(c.Context(), c.FormValue("name"), c.FormValue("password"))
	if err != nil {
		return err
	}
	current := session.FromContext(c)
	if err := current.Regenerate(); err != nil { // else somebody might know it from before
		return err
	}
	current.Set("account", account.ID)
	return c.Redirect().Status(http.StatusSeeOther).To("/")
}

func (s *server) logOut(c fiber.Ctx) error {
	s.LogOut(c.Context(), accountOf(c))
	if err := session.FromContext(c).Destroy(); err != nil {
		return err
	}
	return c.Redirect().Status(http.StatusSeeOther).To("/login")
}

func (s *server) list(c fiber.Ctx) error {
	account := accountOf(c)
	if account.ID == 0 {
		return c.Redirect().Status(http.StatusSeeOther).To("/login")
	}
	drafts, err := s.Drafts.List(c.Context(), account)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, "list.html", office.Page{Drafts: drafts})
}

// draft is the page of a draft, and its JSON. No guard stands before it: it changes nothing.
func (s *server) draft(c fiber.Ctx) error {
	draft, err := s.Drafts.Get(c.Context(), accountOf(c), c.Params("uid"))
	if err != nil {
		return err
	}
	c.Set("ETag", draft.ETag())
	return answer(c, http.StatusOK, draft, "draft.html", office.Page{Draft: draft})
}

// save takes a form or JSON. The guard has let the request pass, so there is a lock.
func (s *server) save(c fiber.Ctx) error {
	var input struct {
		Body     *string `json:"body" form:"body"`
		Revision string  `json:"-" form:"revision"`
	}
	if err := c.Bind().Body(&input); err != nil || input.Body == nil {
		return office.ErrBadRequest
	}
	revision, err := office.Revision(cmp.Or(c.Get("If-Match"), input.Revision))
	if err != nil {
		return err
	}
	held, _ := fibermw.Lock(c)
	draft, err := s.Drafts.Save(c.Context(), held, *input.Body, revision)
	if err != nil {
		return err
	}
	if office.IsAPI(c.Path()) {
		c.Set("ETag", draft.ETag())
		return c.JSON(draft)
	}
	return c.Redirect().Status(http.StatusSeeOther).To("/drafts/" + draft.UID + "#edit")
}

// publish answers 200 and not with a redirect, since it is a 2xx that releases the lock.
func (s *server) publish(c fiber.Ctx) error {
	held, _ := fibermw.Lock(c)
	draft, err := s.Drafts.Publish(c.Context(), held)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, "published.html", office.Page{Draft: draft})
}

// answerError is fiber's ErrorHandler: it answers what handlers and fiber refuse.
func answerError(c fiber.Ctx, err error) error {
	if own := (*fiber.Error)(nil); errors.As(err, &own) {
		err = office.Refusal(own.Code)
	}
	told := office.AsError(err)
	return answer(c, told.Status, told, "error.html", office.Page{Message: told.Message, Text: c.FormValue("body")})
}

// answer answers a program in JSON, and a browser with a page.
func answer(c fiber.Ctx, status int, document any, page string, data office.Page) error {
	if office.IsAPI(c.Path()) {
		return c.Status(status).JSON(document)
	}
	return render(c, status, page, data)
}

func render(c fiber.Ctx, status int, name string, page office.Page) error {
	page.Account, page.CSRF = accountOf(c), csrf.TokenFromContext(c)
	return c.Status(status).Type("html", "utf-8").Send(office.Render(name, page))
}
