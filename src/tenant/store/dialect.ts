/** The databases that a tenant may be stored in. */

export type Dialect = 'sqlite' | 'postgres';
