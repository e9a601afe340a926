/** The PostgreSQL store: the suite of all stores, and what is its own. */

import { PostgresStore } from '#src/tenant/store/postgres-store.js';
import { describePostgres } from '../postgres.js';
import { storeSuite } from './store-suite.js';

describePostgres(
  'on PostgreSQL',
  (postgres) => {
    const databases: string[] = [];
    storeSuite('PostgreSQL', async (now) => {
      const url = (databases[0] ??= await postgres().createDatabase());
      const open = () => PostgresStore.open({ url, maxConnections: 4, initialFeatures: 1, now });
      let store = await open();
      return {
        store,
        async reopen() {
          await store.close();
          return (store = await open());
        },
        async remove() {
          // A new database would take a second a test.
          await store.database.run((db) => db.deleteFrom('users').execute());
          await store.database.run((db) => db.deleteFrom('tenant').execute());
          await store.close();
        },
      };
    });
  },
  // Databases come and go; nothing is crashed.
  { settings: { fsync: 'off' } },
);
