package dev.lockstep.example.pipeline;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/**
 * The arrows of the design, over all modules at once; this is the module that sees them all. To
 * mend a violation move the class or turn the dependency round, then run {@code mvn verify}.
 */
class ArchitectureTest {

  private static final List<String> MODULES =
      List.of(
          "schemas",
          "kernel",
          "lock-streams",
          "outbox",
          "saga-core",
          "testkit/servers",
          "testkit/machines",
          "testkit/sagas",
          "examples/order-pipeline");

  private static JavaClasses main;
  private static JavaClasses tests;

  @BeforeAll
  static void importModules() {
    main = classes("classes");
    tests = classes("test-classes");
  }

  private static JavaClasses classes(String folder) {
    List<Path> paths =
        MODULES.stream()
            .map(module -> Path.of("..", "..", module, "target", folder))
            .filter(Files::isDirectory)
            .toList();
    return new ClassFileImporter().importPaths(paths);
  }

  @Test
  void everyModuleIsLookedAt() {
    for (String name : List.of("schema", "kernel", "lock", "outbox", "saga", "testkit")) {
      assertThat(main.stream().anyMatch(c -> c.getName().startsWith("dev.lockstep." + name + ".")))
          .as(name)
          .isTrue();
    }
  }

  @Test
  void arrowsBetweenModulesPointOneWay() {
    arrow("schema", "kernel", "lock", "outbox", "saga", "testkit", "example");
    arrow("kernel", "lock", "outbox", "saga", "testkit", "example");
    arrow("lock", "outbox", "saga", "testkit", "example");
    arrow("outbox", "kernel", "lock", "saga", "testkit", "example");
    arrow("saga", "lock", "testkit", "example");
  }

  private static void arrow(String from, String... forbidden) {
    noClasses()
        .that()
        .resideInAPackage("dev.lockstep." + from + "..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage(
            Stream.of(forbidden).map(f -> "dev.lockstep." + f + "..").toArray(String[]::new))
        .because(
            "schemas <- kernel <- lock-streams, schemas <- outbox, {kernel, outbox} <- saga-core")
        .check(main);
  }

  @Test
  void enginesAreFreeOfKafkaAndThreads() {
    noClasses()
        .that()
        .resideInAPackage("..internal.engine..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("org.apache.kafka..", "java.util.concurrent..", "java.sql..")
        .because("a fold must be the same in every host")
        .check(main);
  }

  @Test
  void internalTypesDoNotShowInPublicSignatures() {
    noMethods()
        .that()
        .arePublic()
        .and()
        .areDeclaredInClassesThat(publicApi())
        .should()
        .haveRawReturnType(internal())
        .because("public classes may build internal ones but never show them")
        .check(main);
  }

  @Test
  void packagesHaveNoCyclesAcrossModules() {
    slices().matching("dev.lockstep.(*)..").should().beFreeOfCycles().check(main);
  }

  @Test
  void nobodyReadsTheWallClockBehindOurBack() {
    noClasses()
        .that()
        .resideInAnyPackage("dev.lockstep..")
        .should()
        .callMethod(System.class, "currentTimeMillis")
        .orShould()
        .callMethod(Instant.class, "now")
        .orShould()
        .callMethod(Clock.class, "systemDefaultZone")
        .because("time comes in through an interface")
        .check(main);
  }

  @Test
  void noTestSleeps() {
    noClasses()
        .should()
        .callMethod(Thread.class, "sleep", long.class)
        .because("Awaitility waits for a condition; unit tests move a clock")
        .check(tests);
  }

  private static DescribedPredicate<JavaClass> publicApi() {
    return DescribedPredicate.describe(
        "are public API",
        type ->
            type.getPackageName().startsWith("dev.lockstep.")
                && !type.getPackageName().contains(".internal")
                && !type.getPackageName().contains(".example.")
                && type.getModifiers().contains(JavaModifier.PUBLIC));
  }

  private static DescribedPredicate<JavaClass> internal() {
    return DescribedPredicate.describe(
        "internal type",
        type ->
            type.getPackageName().startsWith("dev.lockstep.")
                && type.getPackageName().contains(".internal"));
  }
}
