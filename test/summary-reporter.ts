/** Names what was skipped, and ends the run with one line: `123 passed, 0 failed`. */

import type { Reporter, TestModule } from 'vitest/node';

export default class SummaryReporter implements Reporter {
  #passed = 0;
  #failed = 0;

  onInit(): void {
    // After every other line, those of global tear-downs included. What failed outside of any test (a global set-up,
    // an interrupted run) is known by the exit code alone.
    process.once('exit', (code) => {
      const failed = code === 0 ? this.#failed : Math.max(this.#failed, 1);
      process.stdout.write(`${this.#passed} passed, ${failed} failed\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    const notRun: string[] = [];
    for (const module of modules) {
      // A file that does not load, or a hook that throws, fails without any test that does.
      failed += [module, ...module.children.allSuites()].filter((suite) => suite.errors().length > 0).length;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        else if (state === 'failed') failed += 1;
        else
          notRun.push(`${state === 'skipped' ? 'skipped' : 'not run'}: ${module.relativeModuleId} > ${test.fullName}`);
      }
    }
    for (const line of notRun) console.log(line);
    if (notRun.length > 0) console.log(`${notRun.length} not run`);
    this.#passed = passed;
    this.#failed = failed;
  }
}
