package dev.lockstep.outbox;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchRule;

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
}
