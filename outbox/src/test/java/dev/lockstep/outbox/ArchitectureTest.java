package dev.lockstep.outbox;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.CompositeArchRule;

@AnalyzeClasses(
    packages = "dev.lockstep.outbox",
    importOptions = ImportOption.DoNotIncludeTests.class)
class ArchitectureTest {

  /** Writers never wait for Kafka, so they must not be able to. */
  @ArchTest
  static final ArchRule WRITERS_KNOW_NO_KAFKA =
      noClasses()
          .that()
          .resideInAPackage("..internal.write..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("org.apache.kafka..", "..internal.relay..");

  @ArchTest
  static final ArchRule ONLY_OTHER_MODULES_OF_LOCKSTEP_BELOW =
      noClasses()
          .that()
          .resideInAPackage("dev.lockstep.outbox..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage(
              "dev.lockstep.kernel..", "dev.lockstep.lock..", "dev.lockstep.saga..");

  /** Their libraries are optional: who does not use them does not have them. */
  @ArchTest
  static final ArchRule FRAMEWORKS_STAY_IN_THEIR_PACKAGES =
      CompositeArchRule.of(onlyIn("spring", "org.springframework"))
          .and(onlyIn("jta", "jakarta.transaction"))
          .and(onlyIn("jooq", "org.jooq"))
          .and(onlyIn("otel", "io.opentelemetry"));

  @ArchTest
  static final ArchRule INTEGRATIONS_USE_WHAT_IS_PUBLIC =
      noClasses()
          .that()
          .resideInAnyPackage(
              "dev.lockstep.outbox.spring..",
              "dev.lockstep.outbox.jta..",
              "dev.lockstep.outbox.jooq..",
              "dev.lockstep.outbox.otel..")
          .should()
          .dependOnClassesThat()
          .resideInAnyPackage("dev.lockstep..internal..", "org.apache.kafka..", "org.postgresql..");

  private static ArchRule onlyIn(String integration, String library) {
    return noClasses()
        .that()
        .resideOutsideOfPackage("dev.lockstep.outbox." + integration + "..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(library + "..", "dev.lockstep.outbox." + integration + "..");
  }
}
