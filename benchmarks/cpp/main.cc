// The microbenchmarks of the core; see benchmarks/README.md for how to read them.
#include "bench.h"
#include "blas.h"
#include "fastbp/base/team.h"

int main(int argc, char** argv) {
  using namespace fastbp;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;

  bench::blas_on_one_thread();
  benchmark::AddCustomContext("blas", bench::blas_description());
  benchmark::AddCustomContext("team", team_runtime());

  bench::add_products();
  bench::add_sparse();
  bench::add_elementwise();
  bench::add_step();
  bench::add_norm();
  bench::add_gather();
  bench::add_team();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
