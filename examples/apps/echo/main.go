// Command echo is the office on echo v5, with echo-jwt:
//
//	cd examples/apps && go run ./echo
package main

import (
	"cmp"
	"crypto/rand"
	"log/slog"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"
	echojwt "github.com/labstack/echo-jwt/v5"
	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/echomw/v5"
	"github.com/editlock/editlock/examples/apps/internal/office"
)

func main() { office.Main(newServer) }

type server struct {
	*office.App
	key []byte // of the tokens; one that outlives the process would come from its configuration
}

// claims are what a token says. It is valid for loggedInFor.
type claims struct {
	jwt.RegisteredClaims
	Account int64 `json:"account"`
}

const loggedInFor = 8 * time.Hour

func newServer(app *office.App) (office.Server, error) {
	s := &server{app, []byte(rand.Text())}
	lock, err := echomw.New(app.Locker, echomw.Config{
		User: func(c *echo.Context) core.User {
			account := accountOf(c)
			return core.User{ID: core.ID(account.ID), Name: account.Name} // id 0 is nobody
		},
		Authorize: func(c *echo.Context, _ core.User, uids ...string) error {
			return app.Drafts.Authorize(c.Request().Context(), accountOf(c), uids...)
		},
		TakeOver:        func(c *echo.Context, _ core.User, _ core.Status) bool { return accountOf(c).Admin },
		FrameworkErrors: true, // refusals come to answerError
	})
	if err != nil {
		return nil, err
	}
	e := echo.NewWithConfig(echo.Config{Logger: slog.Default(), HTTPErrorHandler: answerError,
		Renderer: &echo.TemplateRenderer{Template: office.Pages}})
	e.Use(middleware.Recover(), middleware.BodyLimit(office.MaxBody),
		middleware.SecureWithConfig(middleware.SecureConfig{ContentSecurityPolicy: office.ContentSecurityPolicy}))
	e.StaticFS("/assets", office.Assets())
	e.GET("/metrics", echo.WrapHandler(app.Metrics))
	lock.ServeBrowser(e, "/editlock.js")
	e.GET("/healthz", s.handleHealth)
	loggedIn := echojwt.WithConfig(echojwt.Config{
		SigningKey: s.key, TokenLookup: "cookie:token", SuccessHandler: s.loadAccount,
		NewClaimsFunc: func(*echo.Context) jwt.Claims { return &claims{} },
		ErrorHandler:  func(*echo.Context, error) error { return nil }, ContinueOnIgnoredError: true, // nobody is there: routes decide
	})
	lock.Register(e, loggedIn)                                                     // POST, DELETE, GET ... /api/lock/:uid/, which refuse other sites by themselves
	site := e.Group("", loggedIn, middleware.CSRFWithConfig(middleware.CSRFConfig{ //nolint:gosec // no token, but where it is
		TokenLookup: "form:_csrf,header:X-CSRF-Token", CookiePath: "/", CookieHTTPOnly: true, CookieSameSite: http.SameSiteLaxMode}))
	site.GET("/login", func(c *echo.Context) error { return render(c, http.StatusOK, "login.html", office.Page{}) })
	site.POST("/login", s.logIn)
	site.POST("/logout", s.logOut)
	site.GET("/", s.list)
	site.GET("/drafts/:uid", s.draft)
	site.GET("/api/drafts/:uid", s.draft)
	saving := lock.Guard("uid", echomw.GuardConfig{RequireFence: true})
	site.POST("/drafts/:uid", s.save, saving) // a form
	site.PUT("/api/drafts/:uid", s.save, saving)
	publishing := lock.Guard("uid", echomw.GuardConfig{RequireFence: true, ReleaseOnSuccess: true})
	site.POST("/drafts/:uid/publish", s.publish, publishing)
	s.registerAdmin(site)
	return &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}, nil
}

// loadAccount leaves who has logged in for the handlers and for editlock's hooks.
func (s *server) loadAccount(c *echo.Context) error {
	claimed := c.Get("user").(*jwt.Token).Claims.(*claims)
	account, err := s.Accounts.Get(c.Request().Context(), claimed.Account)
	c.Set("account", account)
	return err
}

func accountOf(c *echo.Context) office.Account {
	account, _ := c.Get("account").(office.Account) // the zero Account where nobody has logged in
	return account
}

func (s *server) logIn(c *echo.Context) error {
	account, err := s.Accounts.LogIn(c.Request().Context(), c.FormValue("name"), c.FormValue("password"))
	if err != nil {
		return err
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, &claims{
		jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(time.Now().Add(loggedInFor))}, account.ID,
	}).SignedString(s.key)
	if err != nil {
		return err
	}
	setToken(c, token, int(loggedInFor.Seconds()))
	return c.Redirect(http.StatusSeeOther, "/")
}

// logOut removes the cookie. The token in it stays valid until it expires.
func (s *server) logOut(c *echo.Context) error {
	s.LogOut(c.Request().Context(), accountOf(c))
	setToken(c, "", -1)
	return c.Redirect(http.StatusSeeOther, "/login")
}

func setToken(c *echo.Context, token string, age int) {
	c.SetCookie(&http.Cookie{Name: "token", Value: token, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteLaxMode}) //nolint:gosec // behind TLS, set Secure
}

func (s *server) list(c *echo.Context) error {
	account := accountOf(c)
	if account.ID == 0 {
		return c.Redirect(http.StatusSeeOther, "/login")
	}
	drafts, err := s.Drafts.List(c.Request().Context(), account)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, "list.html", office.Page{Drafts: drafts})
}

// draft is the page of a draft, and its JSON. No guard stands before it: it changes nothing.
func (s *server) draft(c *echo.Context) error {
	draft, err := s.Drafts.Get(c.Request().Context(), accountOf(c), c.Param("uid"))
	if err != nil {
		return err
	}
	c.Response().Header().Set("ETag", draft.ETag())
	return answer(c, http.StatusOK, draft, "draft.html", office.Page{Draft: draft})
}

// save takes a form or JSON. The guard has let the request pass, so there is a lock.
func (s *server) save(c *echo.Context) error {
	var input struct {
		Body     *string `json:"body" form:"body"`
		Revision string  `json:"-" form:"revision"`
	}
	if err := c.Bind(&input); err != nil || input.Body == nil {
		return office.ErrBadRequest
	}
	revision, err := office.Revision(cmp.Or(c.Request().Header.Get("If-Match"), input.Revision))
	if err != nil {
		return err
	}
	held, _ := echomw.Lock(c)
	draft, err := s.Drafts.Save(c.Request().Context(), held, *input.Body, revision)
	if err != nil {
		return err
	}
	if office.IsAPI(c.Request().URL.Path) {
		c.Response().Header().Set("ETag", draft.ETag())
		return c.JSON(http.StatusOK, draft)
	}
	return c.Redirect(http.StatusSeeOther, "/drafts/"+draft.UID+"#edit")
}

// publish answers 200 and not with a redirect, since it is a 2xx that releases the lock.
func (s *server) publish(c *echo.Context) error {
	held, _ := echomw.Lock(c)
	draft, err := s.Drafts.Publish(c.Request().Context(), held)
	if err != nil {
		return err
	}
	return render(c, http.StatusOK, "published.html", office.Page{Draft: draft})
}

// answer answers a program in JSON, and a browser with a page.
func answer(c *echo.Context, status int, document any, page string, data office.Page) error {
	if office.IsAPI(c.Request().URL.Path) {
		return c.JSON(status, document)
	}
	return render(c, status, page, data)
}

func render(c *echo.Context, status int, name string, page office.Page) error {
	page.Account = accountOf(c)
	page.CSRF, _ = c.Get("csrf").(string)
	return c.Render(status, name, page)
}

// answerError is echo's HTTPErrorHandler: it answers what handlers and editlock refuse.
func answerError(c *echo.Context, err error) {
	if r, _ := echo.UnwrapResponse(c.Response()); r != nil && r.Committed {
		return
	}
	told := office.AsError(err)
	if err := answer(c, told.Status, told, "error.html", office.Page{Message: told.Message, Text: c.FormValue("body")}); err != nil {
		c.Logger().Debug("the client is gone", "error", err)
	}
}
