// Command gin is the office on gin, with gin-contrib/sessions:
//
//	cd examples/apps && go run ./gin
package main

import (
	"cmp"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/cookie"
	"github.com/gin-gonic/gin"

	"github.com/editlock/editlock/core"
	"github.com/editlock/editlock/examples/apps/internal/office"
	"github.com/editlock/editlock/ginmw"
)

func main() { office.Main(newServer) }

type server struct{ *office.App }

func newServer(app *office.App) (office.Server, error) {
	s := &server{app}
	lock, err := ginmw.New(app.Locker, ginmw.Config{
		User: func(c *gin.Context) core.User {
			account := accountOf(c)
			return core.User{ID: core.ID(account.ID), Name: account.Name} // id 0 is nobody
		},
		Authorize: func(c *gin.Context, _ core.User, uids ...string) error {
			return app.Drafts.Authorize(c.Request.Context(), accountOf(c), uids...)
		},
		TakeOver:        func(c *gin.Context, _ core.User, _ core.Status) bool { return accountOf(c).Admin },
		FrameworkErrors: true, // refusals come to answerErrors
	})
	if err != nil {
		return nil, err
	}
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.SetHTMLTemplate(office.Pages)
	router.Use(gin.Recovery(), answerErrors)
	router.StaticFS("/assets", http.FS(office.Assets()))
	router.GET("/metrics", gin.WrapH(app.Metrics))
	lock.ServeBrowser(router, "/editlock.js")
	router.GET("/healthz", s.handleHealth)

	router.Use(sessions.Sessions("session", sessionStore()), handle(s.loadAccount)) // for the routes that follow
	router.GET("/login", func(c *gin.Context) { c.HTML(http.StatusOK, "login.html", office.Page{}) })
	router.POST("/login", handle(s.logIn))
	router.POST("/logout", handle(s.logOut))
	lock.Register(router) // POST, DELETE, GET ... /api/lock/:uid/
	router.GET("/", handle(s.list))
	router.GET("/drafts/:uid", handle(s.draft))
	router.GET("/api/drafts/:uid", handle(s.draft))
	saving := lock.Guard("uid", ginmw.GuardConfig{RequireFence: true})
	router.POST("/drafts/:uid", saving, handle(s.save)) // a form
	router.PUT("/api/drafts/:uid", saving, handle(s.save))
	publishing := lock.Guard("uid", ginmw.GuardConfig{RequireFence: true, ReleaseOnSuccess: true})
	router.POST("/drafts/:uid/publish", publishing, handle(s.publish))
	s.registerAdmin(router)

	// Browsers say from which site a request comes. The lock routes look at that by themselves.
	protected := http.NewCrossOriginProtection().Handler(http.MaxBytesHandler(router, office.MaxBody))
	return &http.Server{Handler: protected, ReadHeaderTimeout: 10 * time.Second}, nil
}

// sessionStore keeps a session in a signed cookie. A key that outlives the process would come from its configuration.
func sessionStore() sessions.Store {
	store := cookie.NewStore([]byte(rand.Text()))
	store.Options(sessions.Options{Path: "/", MaxAge: 8 * 60 * 60, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return store
}

// loadAccount leaves who has logged in for the handlers and for editlock's hooks.
func (s *server) loadAccount(c *gin.Context) error {
	id, _ := sessions.Default(c).Get("account").(int64) // 0 if nobody has
	account, err := s.Accounts.Get(c.Request.Context(), id)
	c.Set("account", account)
	return err
}

func accountOf(c *gin.Context) office.Account {
	account, _ := c.Value("account").(office.Account) // the zero Account where nobody has logged in
	return account
}

func (s *server) logIn(c *gin.Context) error {
	account, err := s.Accounts.LogIn(c.Request.Context(), c.PostForm("name"), c.PostForm("password"))
	if err != nil {
		return err
	}
	session := sessions.Default(c)
	session.Set("account", account.ID)
	return saveAndGo(c, session, "/")
}

func (s *server) logOut(c *gin.Context) error {
	s.LogOut(c.Request.Context(), accountOf(c))
	session := sessions.Default(c)
	session.Clear()
	return saveAndGo(c, session, "/login")
}

func saveAndGo(c *gin.Context, session sessions.Session, path string) error {
	err := session.Save()
	if err == nil {
		c.Redirect(http.StatusSeeOther, path)
	}
	return err
}

func (s *server) list(c *gin.Context) error {
	account := accountOf(c)
	if account.ID == 0 {
		c.Redirect(http.StatusSeeOther, "/login")
		return nil
	}
	drafts, err := s.Drafts.List(c.Request.Context(), account)
	if err == nil {
		c.HTML(http.StatusOK, "list.html", office.Page{Account: account, Drafts: drafts})
	}
	return err
}

// draft is the page of a draft, and its JSON. No guard stands before it: it changes nothing.
func (s *server) draft(c *gin.Context) error {
	account := accountOf(c)
	draft, err := s.Drafts.Get(c.Request.Context(), account, c.Param("uid"))
	if err == nil {
		c.Header("ETag", draft.ETag())
		answer(c, http.StatusOK, draft, "draft.html", office.Page{Account: account, Draft: draft})
	}
	return err
}

// save takes a form or JSON. The guard has let the request pass, so there is a lock.
func (s *server) save(c *gin.Context) error {
	var input struct {
		Body     *string `json:"body" form:"body" binding:"required"`
		Revision string  `json:"-" form:"revision"`
	}
	if err := c.ShouldBind(&input); err != nil {
		return office.ErrBadRequest
	}
	revision, err := office.Revision(cmp.Or(c.GetHeader("If-Match"), input.Revision))
	if err != nil {
		return err
	}
	held, _ := ginmw.Lock(c)
	draft, err := s.Drafts.Save(c.Request.Context(), held, *input.Body, revision)
	if err != nil {
		return err
	}
	if office.IsAPI(c.Request.URL.Path) {
		c.Header("ETag", draft.ETag())
		c.JSON(http.StatusOK, draft)
	} else {
		c.Redirect(http.StatusSeeOther, "/drafts/"+draft.UID+"#edit")
	}
	return nil
}

// publish answers 200 and not with a redirect, since it is a 2xx that releases the lock.
func (s *server) publish(c *gin.Context) error {
	held, _ := ginmw.Lock(c)
	draft, err := s.Drafts.Publish(c.Request.Context(), held)
	if err == nil {
		c.HTML(http.StatusOK, "published.html", office.Page{Account: accountOf(c), Draft: draft})
	}
	return err
}

// handle makes a gin handler of one that returns an error, which it leaves to answerErrors.
func handle(handler func(*gin.Context) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		if err := handler(c); err != nil {
			_ = c.Error(err) // adds err to gin's list of errors, and returns it
			c.Abort()
		}
	}
}

// answerErrors answers what handlers and editlock refuse.
func answerErrors(c *gin.Context) {
	c.Header("Content-Security-Policy", office.ContentSecurityPolicy)
	c.Next()
	if len(c.Errors) == 0 || c.Writer.Written() {
		return
	}
	err := office.AsError(c.Errors.Last().Err)
	answer(c, err.Status, err, "error.html", office.Page{Account: accountOf(c), Message: err.Message, Text: c.PostForm("body")})
}

// answer answers a program in JSON, and a browser with a page.
func answer(c *gin.Context, status int, document any, page string, data office.Page) {
	if office.IsAPI(c.Request.URL.Path) {
		c.JSON(status, document)
	} else {
		c.HTML(status, page, data)
	}
}
