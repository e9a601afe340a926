/** The sign-in page and what follows it: name, password, change of password, and back to the application. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { correlationIdOf } from '../oidc/oauth-error.js';
import type { SignInOutcome } from '../sign-in/types.js';
import { registerAssets } from './assets.js';
import { federationOfHint, nameOfAccount } from './directory.js';
import { failurePage, sendPage } from './failure.js';
import { federationAddress } from './federation.js';
import { findInteraction, type Interaction } from './interaction.js';
import { messages, passwordRefusal } from './messages.js';
import { isFromHere } from './origin.js';
import type { Page } from './page.js';
import { changePage } from './pages/change.js';
import { donePage, federatedPage, foreignFormPage, isRefused, refusedPage, timedOutPage } from './pages/outcome.js';
import type { FormContext, Support } from './pages/parts.js';
import { accountPage, MAX_NAME, namePage, passwordPage } from './pages/sign-in.js';
import { readStep, type Step, writeStep } from './step.js';
import { interactionPath, type SignInPagesOptions } from './types.js';

type Route = '' | '/name' | '/password' | '/change' | '/account' | '/federated' | '/refused' | '/done';

/** Without control characters, which no directory has in a name and PostgreSQL not in a text. */
const NAME = /^\P{Cc}+@[^@\s\p{Cc}]+$/u;

/** One request, with what it belongs to. */
interface Visit {
  readonly interaction: Interaction;
  readonly step: Step;
  readonly request: FastifyRequest;
  readonly correlationId: string;
  /** For pages. */
  readonly context: FormContext;
  /** The form's field, if it came once. */
  field(name: string): string;
}

/** What is answered: a page, or the next place with what is to be remembered there. */
type Answer = { readonly page: Page } | { readonly to: Route; readonly step?: Step };

export function registerSignInPages(server: FastifyInstance, options: SignInPagesOptions): void {
  const flow = new SignInFlow(options);
  const { seal } = options;
  registerAssets(server);

  const route = (method: 'GET' | 'POST', path: Route, work: (visit: Visit) => Answer | Promise<Answer>) => {
    server.route<{ Params: { uid: string } }>({
      method,
      url: `${interactionPath(':uid')}${path}`,
      exposeHeadRoute: false,
      errorHandler: failurePage(options.context),
      async handler(request, reply) {
        const { uid } = request.params;
        const { context, provider } = options;
        const correlationId = correlationIdOf(request.headers);
        const support = { now: context.now(), correlationId };
        const brand = context.displayName;
        const base = interactionPath(uid);
        if (method === 'POST' && !isFromHere(request, context.baseUrl())) {
          return sendPage(reply, foreignFormPage({ brand }, support));
        }
        const interaction = await findInteraction(await provider(), uid, request.raw, reply.raw);
        if (interaction === undefined) return sendPage(reply, timedOutPage({ brand }, support));
        const body = (request.body ?? {}) as Readonly<Record<string, unknown>>;
        if (method === 'POST' && !seal.isToken(uid, body.token)) {
          return sendPage(reply, foreignFormPage({ brand }, support));
        }
        // Answered already, by a form that was sent twice or in another window: on to where the first answer leads.
        if (interaction.returnTo !== undefined && path !== '/done') return redirect(reply, `${base}/done`);
        const answer = await work({
          interaction,
          step: readStep(request, seal, uid),
          request,
          correlationId,
          context: { brand, application: interaction.application, base, token: seal.token(uid) },
          field: (name) => (Object.hasOwn(body, name) && typeof body[name] === 'string' ? body[name] : ''),
        });
        if ('page' in answer) return sendPage(reply, answer.page);
        if (answer.step !== undefined) writeStep(reply, seal, uid, base, answer.step);
        else if (answer.to === '/done') writeStep(reply, seal, uid, base, undefined);
        return redirect(reply, `${base}${answer.to}`);
      },
    });
  };

  route('GET', '', (visit) => flow.begin(visit));
  route('GET', '/account', (visit) => flow.showAccount(visit));
  route('POST', '/account', (visit) => flow.chooseAccount(visit));
  route('GET', '/name', (visit) => flow.showName(visit));
  route('POST', '/name', (visit) => flow.takeName(visit));
  route('GET', '/password', (visit) => flow.showPassword(visit));
  route('POST', '/password', (visit) => flow.takePassword(visit));
  route('GET', '/change', (visit) => flow.showChange(visit));
  route('POST', '/change', (visit) => flow.takeChange(visit));
  route('GET', '/federated', (visit) => flow.showFederated(visit));
  route('GET', '/refused', (visit) => flow.showRefused(visit));
  route('GET', '/done', (visit) => flow.showDone(visit));
}

/** 303: what follows a form is fetched by GET, so that Back and Reload never send a password again. */
const redirect = (reply: FastifyReply, to: string) => reply.header('cache-control', 'no-store').redirect(to, 303);

const notChangedHere = (name: string, change: NonNullable<Step['change']>, correlationId: string): Answer => ({
  to: '/refused',
  step: { name, failure: { message: messages.notChangedHere[change], code: 50055, correlationId } },
});

class SignInFlow {
  readonly #options: SignInPagesOptions;
  /** Changes of password under way, by interaction: a form that is sent twice changes it once. */
  readonly #changes = new Map<string, Promise<Answer>>();

  constructor(options: SignInPagesOptions) {
    this.#options = options;
  }

  async begin({ interaction }: Visit): Promise<Answer> {
    const { accountId, domainHint, loginHint, prompt } = interaction;
    const { database } = this.#options.context.store;
    if (prompt === 'select_account' && accountId !== undefined) return { to: '/account' };
    if (domainHint !== undefined && (await federationOfHint(database, domainHint)) !== undefined) {
      return { to: '/federated', step: loginHint === undefined ? {} : { name: loginHint } };
    }
    // Asked again who is signed in already: the same person, as a rule, who may say otherwise on the next page.
    const name = loginHint ?? (accountId === undefined ? undefined : await nameOfAccount(database, accountId));
    if (name === undefined || prompt === 'select_account')
      return { to: '/name', step: name === undefined ? {} : { name } };
    return this.#named(name);
  }

  async showAccount({ interaction, context }: Visit): Promise<Answer> {
    const { accountId } = interaction;
    if (accountId === undefined) return { to: '/name' };
    const name = await nameOfAccount(this.#options.context.store.database, accountId);
    return name === undefined ? { to: '/name' } : { page: accountPage(context, { name }) };
  }

  async chooseAccount({ interaction, field }: Visit): Promise<Answer> {
    if (field('choice') !== 'this' || interaction.accountId === undefined) return { to: '/name', step: {} };
    await interaction.keepAccount();
    return { to: '/done' };
  }

  showName({ context, step: { name, failure } }: Visit): Answer {
    const error = failure?.field === 'name' ? failure.message : undefined;
    return {
      page: namePage(context, { ...(name === undefined ? {} : { name }), ...(error === undefined ? {} : { error }) }),
    };
  }

  takeName({ field }: Visit): Promise<Answer> | Answer {
    return this.#named(field('name').trim());
  }

  showPassword({ context, step, correlationId }: Visit): Answer {
    const { name, failure } = step;
    if (name === undefined) return { to: '/name' };
    const about = failure?.field === 'password' ? { error: failure.message } : { notice: failure?.message };
    return {
      page: passwordPage(context, {
        name,
        ...about,
        offerKeep: this.#options.keepMeSignedIn,
        support: failure && this.#support(failure, correlationId),
      }),
    };
  }

  async takePassword(visit: Visit): Promise<Answer> {
    const { name } = visit.step;
    if (name === undefined) return { to: '/name' };
    const password = visit.field('password');
    if (password === '') {
      return { to: '/password', step: { name, failure: { field: 'password', message: messages.passwordMissing } } };
    }
    const remember = this.#options.keepMeSignedIn && visit.field('keep') === 'yes';
    return this.#signIn(visit, name, password, remember);
  }

  showChange({ context, step, correlationId }: Visit): Answer {
    const { name, change: reason, failure } = step;
    if (name === undefined || reason === undefined) return { to: '/name' };
    const field = failure?.field;
    return {
      page: changePage(context, {
        name,
        reason,
        error: failure && {
          field: field === 'old' || field === 'new' || field === 'confirm' ? field : undefined,
          message: failure.message,
        },
        support: failure?.code === undefined ? undefined : this.#support(failure, correlationId),
      }),
    };
  }

  takeChange(visit: Visit): Promise<Answer> | Answer {
    const { uid } = visit.interaction;
    const running = this.#changes.get(uid);
    if (running !== undefined) return running;
    const change = this.#change(visit).finally(() => this.#changes.delete(uid));
    this.#changes.set(uid, change);
    return change;
  }

  async showFederated({ interaction, context, step: { name } }: Visit): Promise<Answer> {
    const url = await this.#federationUrl(interaction, name);
    if (url === undefined) return { to: '/name' };
    // A domain that was made federated through Graph may have none yet.
    if (url === '') return { to: '/name', step: { failure: { field: 'name', message: messages.noFederationUrl } } };
    return { page: federatedPage(context, federationAddress(url, name)) };
  }

  showRefused({ context, step: { failure }, correlationId }: Visit): Answer {
    if (!isRefused(failure)) return { to: '/name' };
    return { page: refusedPage(context, failure, this.#support(failure, correlationId)) };
  }

  showDone({ interaction, context }: Visit): Answer {
    const { returnTo, flow } = interaction;
    if (returnTo === undefined) return { to: '' };
    // A device code's own page says the rest.
    return { page: donePage(flow === 'deviceCode' ? { brand: context.brand } : context, returnTo) };
  }

  async #named(name: string): Promise<Answer> {
    const wrong = (message: string): Answer => ({
      to: '/name',
      step: { name: name.slice(0, MAX_NAME), failure: { field: 'name', message } },
    });
    if (name === '') return wrong(messages.nameMissing);
    if (name.length > MAX_NAME || !NAME.test(name)) return wrong(messages.nameWrong);
    const realm = await this.#options.signIn.realm(name);
    return { to: realm.type === 'federated' ? '/federated' : '/password', step: { name } };
  }

  async #federationUrl({ domainHint }: Interaction, name: string | undefined): Promise<string | undefined> {
    const { context, signIn } = this.#options;
    const hinted = domainHint && (await federationOfHint(context.store.database, domainHint));
    if (hinted !== undefined) return hinted;
    if (name === undefined) return undefined;
    const realm = await signIn.realm(name);
    return realm.type === 'federated' ? realm.url : undefined;
  }

  async #signIn(visit: Visit, name: string, password: string, remember: boolean): Promise<Answer> {
    const { interaction, request, correlationId } = visit;
    const outcome = await this.#options.signIn.signIn({
      userPrincipalName: name,
      password,
      clientId: interaction.clientId,
      address: request.ip,
      flow: interaction.flow,
      correlationId,
    });
    if (outcome.status !== 'signedIn') return this.#refused(name, outcome, { correlationId, keep: remember });
    await interaction.finish(outcome.user.objectId, remember);
    return { to: '/done' };
  }

  async #refused(
    name: string,
    outcome: Exclude<SignInOutcome, { status: 'signedIn' }>,
    { correlationId, keep }: { readonly correlationId: string; readonly keep: boolean },
  ): Promise<Answer> {
    if (outcome.status === 'federated') return { to: '/federated', step: { name } };
    const { code } = outcome;
    switch (code) {
      case 50126:
        return {
          to: '/password',
          step: { name, failure: { field: 'password', message: messages.wrongPassword, code, correlationId } },
        };
      case 50053:
        return { to: '/password', step: { name, failure: { message: messages.locked, code, correlationId } } };
      case 50055: {
        const { user, change = 'expired' } = outcome;
        // Before anyone has thought of a new password that cannot be set here.
        return user !== undefined && (await this.#options.passwords.hindrance(user)) !== undefined
          ? notChangedHere(name, change, correlationId)
          : { to: '/change', step: { name, keep, change } };
      }
      case 50057:
      case 50135:
        return { to: '/refused', step: { name, failure: { message: '', code, correlationId } } };
    }
  }

  async #change(visit: Visit): Promise<Answer> {
    const { interaction, request, correlationId, step } = visit;
    const { name, change: reason, keep = false } = step;
    // The sealed step is what says that the password was right and has to be changed.
    if (name === undefined || reason === undefined) return { to: '/name' };
    const again = (failure: NonNullable<Step['failure']>): Answer => ({
      to: '/change',
      step: { name, keep, change: reason, failure },
    });
    const [oldPassword, newPassword, confirmation] = ['old', 'new', 'confirm'].map(visit.field) as [
      string,
      string,
      string,
    ];
    if (oldPassword === '') return again({ field: 'old', message: messages.oldMissing });
    if (newPassword === '') return again({ field: 'new', message: messages.newMissing });
    if (confirmation === '') return again({ field: 'confirm', message: messages.confirmMissing });
    if (confirmation !== newPassword) return again({ field: 'confirm', message: messages.confirmDiffers });
    const { context, passwords } = this.#options;
    const user = await context.store.findSignInUser(name);
    if (user === undefined) return { to: '/name', step: {} };
    const outcome = await passwords.change({
      user,
      oldPassword,
      newPassword,
      clientId: interaction.clientId,
      address: request.ip,
      correlationId,
    });
    if (outcome.status === 'refused') {
      // Switched off since the form was shown.
      if (outcome.reason === 'writebackOff') return notChangedHere(name, reason, correlationId);
      return again({ ...passwordRefusal(outcome.reason, outcome.message), correlationId });
    }
    // Not past what else may stand against it, and not past the sign-in log.
    return this.#signIn(visit, name, newPassword, keep);
  }

  #support({ code, correlationId }: NonNullable<Step['failure']>, current: string): Support {
    return { code, correlationId: correlationId ?? current, now: this.#options.context.now() };
  }
}
