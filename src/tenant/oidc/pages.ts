/** The pages that belong to OpenID Connect's own endpoints and not to an interaction: device code, sign-out, errors. */

export interface Page {
  readonly html: string;
  /** Content-Security-Policy and what else belongs to the page; names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Texts of these views are untrusted, but for `action`, `xsrf` and numbers. A form is sent as `application/x-www-form-urlencoded`. */
export interface ProviderPages {
  /** Asks for the code that a device shows. Form: `xsrf`, `user_code`. */
  deviceCode(view: {
    readonly action: string;
    readonly xsrf: string;
    /** What was wrong with the try before. */
    readonly problem?: 'unknown' | 'expired' | 'used' | 'cancelled' | 'failed' | undefined;
    /** As it was typed before. */
    readonly userCode?: string | undefined;
  }): Page;
  /** Form: `xsrf`, `user_code`, and `confirm=yes` or `abort=yes`. */
  deviceConfirm(view: {
    readonly action: string;
    readonly xsrf: string;
    readonly userCode: string;
    readonly clientName: string;
    /** Where the device asked from. */
    readonly address: string | undefined;
  }): Page;
  deviceDone(view: { readonly clientName: string }): Page;
  /** Form: `xsrf`, and `logout=yes` for signing out. */
  signOut(view: { readonly action: string; readonly xsrf: string; readonly clientName: string | undefined }): Page;
  signedOut(view: { readonly clientName: string | undefined }): Page;
  /** A form that sends itself, with a button for browsers without script (OAuth 2.0 Form Post Response Mode). */
  submit(view: { readonly action: string; readonly fields: Readonly<Record<string, string>> }): Page;
  error(view: {
    /** AADSTS number, where there is one. */
    readonly code: number | undefined;
    readonly error: string;
    readonly description: string;
    readonly correlationId: string;
  }): Page;
}
