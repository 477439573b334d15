// A client that openapi-typescript generated from /openapi.json. It must compile, and it must work.
//
//   node check.js URL TOKEN
import assert from "node:assert/strict";

import createClient from "openapi-fetch";

import type { components, paths } from "./api.js";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const is = <_ extends true>() => {};
type Flat<T> = { [K in keyof T]: T[K] };

// Types that existing programs rely on.
type User = components["schemas"]["v2.User"];
type Problem = components["schemas"]["Problem"];
type Attributes = { [name: string]: unknown };
is<
  Same<
    User,
    {
      id: number;
      name: string;
      email: string;
      version: number;
      created_at: string;
      updated_at: string;
      external_id?: string;
      status?: "active" | "disabled";
      attributes?: Attributes;
    }
  >
>();
type Profile = { external_id?: string | null; status?: "active" | "disabled"; attributes?: Attributes | null };
is<Same<components["schemas"]["v1.User"], { id: number; name: string; email: string }>>();
is<Same<components["schemas"]["v1.UserBody"], { name: string; email: string }>>();
is<Same<Flat<components["schemas"]["UserBody"]>, Flat<{ name: string; email: string } & Profile>>>();
is<Same<Flat<components["schemas"]["UserPatch"]>, Flat<{ name?: string; email?: string } & Profile>>>();
is<Same<components["schemas"]["UserPage"], { users: User[]; next_page_token?: string; total?: number }>>();
is<
  Same<
    Problem,
    {
      type: string;
      title: string;
      status: number;
      detail: string;
      instance: string;
      code: string;
      errors?: { pointer: string; detail: string }[];
      trace_id?: string;
    }
  >
>();

const [baseUrl, token] = process.argv.slice(2);
assert(baseUrl && token, "usage: node check.js URL TOKEN");
const anonymous = createClient<paths>({ baseUrl });
const client = createClient<paths>({ baseUrl, headers: { authorization: `Bearer ${token}` } });

// Never runs: the compiler must reject each of these mistakes.
const _mistakes = () => [
  // @ts-expect-error the email is missing
  client.POST("/api/v2/users", { body: { name: "Ada" } }),
  // @ts-expect-error a name is text
  client.PUT("/api/v2/users/{id}", { params: { path: { id: 1 } }, body: { name: 1, email: "ada@example.com" } }),
  // @ts-expect-error null would remove the name
  client.PATCH("/api/v2/users/{id}", { params: { path: { id: 1 } }, body: { name: null } }),
  // @ts-expect-error there is no such filter
  client.GET("/api/v2/users", { params: { query: { nmae_prefix: "Ada" } } }),
  // @ts-expect-error an id is a number
  client.GET("/api/v2/users/{id}", { params: { path: { id: "1" } } }),
  // @ts-expect-error there is no such path
  client.GET("/api/v3/users"),
];

const refused = await anonymous.GET("/api/v2/users");
assert.equal(refused.response.status, 401);
assert.equal(refused.error?.code, "unauthorized");
assert.match(refused.response.headers.get("www-authenticate") ?? "", /^Bearer/);

const created = await client.POST("/api/v2/users", { body: { name: "Ada", email: "ada@example.com" } });
const ada = created.data;
assert(ada, JSON.stringify(created.error));
is<Same<typeof ada, User>>();
assert.equal(created.response.status, 201);
assert.equal(created.response.headers.get("location"), `/api/v2/users/${ada.id}`);
assert.equal(ada.version, 1);
assert(!Number.isNaN(Date.parse(ada.created_at)));
const path = { id: ada.id };

const invalid = await client.POST("/api/v2/users", { body: { name: "", email: "ada" } });
const problem: Problem | undefined = invalid.error;
assert.equal(problem?.status, 422);
assert.equal(problem?.code, "invalid_user");
assert.deepEqual(problem?.errors?.map((field) => field.pointer).sort(), ["/email", "/name"]);
const taken = await client.POST("/api/v2/users", { body: { name: "Ada", email: "ADA@example.com" } });
assert.equal(taken.error?.code, "email_taken");

const read = await client.GET("/api/v2/users/{id}", { params: { path } });
assert.deepEqual(read.data, ada);
const etag = read.response.headers.get("etag");
assert(etag);
const same = await client.GET("/api/v2/users/{id}", { params: { path, header: { "If-None-Match": etag } } });
assert.equal(same.response.status, 304);

// openapi-fetch sends application/json by default.
const merging = { "Content-Type": "application/merge-patch+json" };
const params = { path, header: { "If-Match": etag } };
const patched = await client.PATCH("/api/v2/users/{id}", { params, headers: merging, body: { name: "Ada King" } });
assert.deepEqual(patched.data && [patched.data.name, patched.data.version], ["Ada King", 2]);
const stale = await client.PATCH("/api/v2/users/{id}", { params, headers: merging, body: { name: "Ada" } });
assert.equal(stale.error?.code, "version_mismatch");
const replaced = await client.PUT("/api/v2/users/{id}", {
  params: { path },
  body: { name: "Ada", email: "ada@example.com" },
});
assert.equal(replaced.data?.version, 3);

await client.POST("/api/v2/users", { body: { name: "Bob", email: "bob@example.com" } });
const names: string[] = [];
let next: string | undefined;
do {
  const query = { page_size: 1, include_total: true, ...(next ? { page_token: next } : {}) };
  const { data } = await client.GET("/api/v2/users", { params: { query } });
  assert.equal(data?.total, 2);
  names.push(...data.users.map((user) => user.name));
  next = data.next_page_token;
} while (next);
assert.deepEqual(names, ["Ada", "Bob"]);
const damaged = await client.GET("/api/v2/users", { params: { query: { page_token: "damaged" } } });
assert.equal(damaged.error?.code, "invalid_page_token");

const events = await client.GET("/api/v2/events", { params: { header: { "Last-Event-ID": 0 } }, parseAs: "stream" });
assert.equal(events.response.headers.get("content-type"), "text/event-stream");
let told = "";
const reader = events.data?.pipeThrough(new TextDecoderStream()).getReader();
while (!told.includes("event: user.created")) told += (await reader?.read())?.value ?? assert.fail(told);
await reader?.cancel();

const deleted = await client.DELETE("/api/v2/users/{id}", { params: { path } });
assert.equal(deleted.response.status, 204);
const gone = await client.GET("/api/v2/users/{id}", { params: { path } });
assert.equal(gone.error?.code, "user_not_found");

const first = await client.POST("/api/v1/users", { body: { name: "Cy", email: "cy@example.com" } });
assert.equal(first.data?.name, "Cy");
const all = await client.GET("/api/v1/users", { params: { query: { page: 1, limit: 20 } } });
assert.deepEqual(all.data?.map((user) => user.name), ["Bob", "Cy"]);
const error: { error: string } | undefined = (await client.GET("/api/v1/users/{id}", { params: { path } })).error;
assert(error?.error);

assert.equal((await anonymous.GET("/health")).data?.status, "healthy");
assert.equal((await anonymous.GET("/ready")).data?.ready, true);
