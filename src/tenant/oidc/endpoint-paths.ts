/** Where the endpoints of a tenant stand. */

/** Paths of the tenant's endpoints below the base URL, `name` being its id or another name of it. */
export const endpointPaths = (name: string) => ({
  authorization: `/${name}/oauth2/v2.0/authorize`,
  token: `/${name}/oauth2/v2.0/token`,
  device_authorization: `/${name}/oauth2/v2.0/devicecode`,
  code_verification: `/${name}/oauth2/v2.0/deviceauth`,
  end_session: `/${name}/oauth2/v2.0/logout`,
  jwks: `/${name}/discovery/v2.0/keys`,
  discovery: `/${name}/v2.0/.well-known/openid-configuration`,
});
