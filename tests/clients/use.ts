// A program over the generated types: it logs in, mints a token, decides, asks for a batch, and meets errors and words that it does not know.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { env: Record<string, string> };

function expect(condition: unknown, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

const baseUrl = process.env.ACCORD ?? "";
const stranger = createClient<paths>({ baseUrl });
const login = await stranger.POST("/api/v1/sessions", { body: { username: "alice", password: process.env.PASSWORD ?? "" } });
expect(login.data?.user === "alice" && !login.data.passwordChangeRequired, "a login");

const session = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${login.data.token}` } });
const lasting: components["schemas"]["TokenRequestFor"] = { name: "generated", validFor: "1h", issuers: ["tls"] };
const minted = await session.POST("/api/v1/me/tokens", { body: lasting });
expect(minted.data && minted.data.token.startsWith("accord_"), "a token");
const until: components["schemas"]["TokenRequestUntil"] = { name: "until", expiresAt: "2099-12-31T18:00:00Z" };
const tooLong = await session.POST("/api/v1/me/tokens", { body: until });
expect(tooLong.error?.status === 409, "a policy");

const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${minted.data.token}` } });
const one = await client.POST("/api/v1/decisions", { body: { issuer: "tls", action: "request" } });
expect(one.data && "allow" in one.data && one.data.allow && one.data.path?.team === "web", "an allow");
const many = await client.POST("/api/v1/decisions", { body: { requests: [{ issuer: "tls", action: "view" }, { issuer: "vpn", action: "view" }] } });
expect(many.data && "decisions" in many.data, "a batch");
const [first, second] = many.data.decisions;
expect(first?.allow === true && second?.allow === false, "two decisions");
expect(second.reason === "credential-not-permitted", "a reason that this client does not know");

const wrong = await client.POST("/api/v1/decisions", { body: { requests: [{ issuer: "tls", action: "view" }, { issuer: "", action: "view" }] } });
expect(wrong.response.status === 422 && wrong.error?.detail.includes("item 2"), "an error that names the item");
const strange = await stranger.GET("/api/v1/me");
expect(strange.error?.type === "urn:accord:problem:unauthenticated", "a problem");
const forbidden = await client.GET("/api/v1/users");
expect(forbidden.error?.status === 403 && typeof forbidden.error.reason === "string", "a refusal with a reason");
