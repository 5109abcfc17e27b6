// Package openapi holds the OpenAPI document of the lock routes, core/rest/openapi.json, against what servers answer: the
// examples, each as a process of its own, and an application with every hook. Requests and answers are validated by
// libopenapi-validator, and what it does not look at is compared here: headers that the document does not name, bodies
// where it names none, the order of keys, and 405, which belongs to no operation. Every answer that the document describes
// must have been given.
//
// Package client below it is generated from the document, and locks with it. After a change of the document:
//
//	go generate ./openapi
package openapi

//go:generate go tool oapi-codegen -config client/config.yaml -o client/client.gen.go ../../../core/rest/openapi.json
