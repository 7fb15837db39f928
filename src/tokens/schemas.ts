import { Type } from '@sinclair/typebox'

export const AccessToken = Type.Object({
  token: Type.String({ description: 'A signed access token (JWT, RFC 7519) for `Authorization: Bearer`, `Token`, or as the username of Basic with anything as the password.', examples: ['eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9.e30.c2lnbmF0dXJl'] }),
  duration: Type.Integer({ minimum: 1, description: 'How long it holds, in seconds.', examples: [600] })
}, { $id: 'AccessToken', additionalProperties: false, description: 'An access token and its life.' })

export const Greeting = Type.Object({
  data: Type.String({ description: 'A greeting by name.', examples: ['Hello, test_user!'] })
}, { $id: 'Greeting', additionalProperties: false, description: 'Proof that the credential works.' })
