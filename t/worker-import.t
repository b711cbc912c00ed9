# Importing halls: what the API says of a CSV, what is in the database then,
# who may replace what, and that a hall of 100,000 seats is no trouble for
# those who are buying.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Http qw(http http_many);
use Ticket::MariaDB;
use Ticket::Operator;
use Ticket::Worker;
use Time::HiRes qw(time);

my $db = Ticket::MariaDB->new(dir => temp_dir());
my $operator = Ticket::Operator->new(dir => temp_dir());
my $worker = Ticket::Worker->new(dir => temp_dir(), db => $db,
                                 config => {admin_token_file => $operator->file, db_connections => 2});
$operator->of($worker);

sub ask { return $operator->ask(@_) }

sub import_csv { my ($map, $csv, $tag, %more) = @_; return ask(POST => "maps/$map/seats", $csv, 'If-Match' => $tag, %more) }

sub is_problem {
    my ($answer, $status, $code, $name) = @_;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is "$answer->{status} " . ($answer->{json}{code} // ''), "$status $code", $name or diag $answer->{body};
    return $answer->{json};
}

# The rows of a map's seats, as they would be sold.
sub seats {
    my ($map) = @_;
    return $db->rows("SELECT seat_no, name, section_no, row_no, pos, tier, x, y FROM map_seat WHERE map_id = $map ORDER BY seat_no");
}

subtest 'the example' => sub {
    my $map = $operator->make_map;
    my $answer = import_csv($map, slurp(root_dir() . '/conf/demo/hall.csv'), '"v1"');
    is "$answer->{status} $answer->{headers}{etag}", '200 "v2"', 'is imported' or diag $answer->{body};
    my $told = $answer->{json};
    is_deeply $told->{sections}, [{name => 'Stalls', focal => [450, 0], seats => 16},
                                  {name => 'Balcony, left', focal => [0, 1000], seats => 3}], 'its sections';
    is_deeply $told->{pools}, [{pool => 'Arena', tier => 'standing', capacity => 200}], 'its pool';
    is $told->{seats}, 19, 'its seats';
    is_deeply ask(GET => "maps/$map")->{json}, $told, 'and it can be read';
    my $rows = seats($map);
    is_deeply $rows->[4], [4, 'Stalls-A-6', 0, 1, 6, 'gold', 600, 100], 'a seat in the database';
    is_deeply $rows->[18], [18, 'BL-3', 1, 1, 3, 'standard', 0, 1100], 'another';
    my $number = $operator->make_performance($map);
    my $seen = $worker->ask(1, GET => "/v1/performances/$number/seats")->{json};
    is_deeply [map { $_->{seat} } @{$seen->{seats}}], [map { $_->[1] } @$rows], 'visitors see them in that order';
    is_deeply $seen->{pools}, [{pool => 'Arena', left => 200, capacity => 200}], 'and the standing places';
};

subtest 'replacing' => sub {
    my $map = $operator->make_map("section,row,seat,tier\nH,A,1,s\nH,A,2,s\n");
    my $answer = import_csv($map, "section,row,seat,tier\nK'1,B,3,t\n", '"v2"', 'Idempotency-Key' => '"again"');
    is "$answer->{status} $answer->{headers}{etag}", '200 "v3"', 'what was there';
    is_deeply seats($map), [[0, 'B-3', 0, 1, 3, 't', 300, 100]], 'is gone';
    is $db->value("SELECT name FROM map_section WHERE map_id = $map"), "K'1", 'with its sections';
    my $again = import_csv($map, "section,row,seat,tier\nK'1,B,3,t\n", '"v2"', 'Idempotency-Key' => '"again"');
    is "$again->{status} $again->{headers}{'idempotency-replayed'} $again->{headers}{etag}", '200 ?1 "v3"', 'the same request again is answered as before';
    is $again->{body}, $answer->{body}, '... byte for byte';
    is $db->value("SELECT version FROM seat_map WHERE id = $map"), 3, '... and does nothing';
    is_problem import_csv($map, "section,row,seat,tier\nK'1,B,4,t\n", '"v2"', 'Idempotency-Key' => '"again"'),
        422, 'idempotency_key_reused', 'another file under that key';
    is import_csv($map, "type,pool,capacity,tier\npool,f,9,t\n", '*')->{status}, 200, 'by a pool, whatever the version';
    is_deeply [map { $db->value("SELECT COUNT(*) FROM $_ WHERE map_id = $map") } qw(map_seat map_section map_pool)], [0, 0, 1], 'nothing else is left';
};

subtest 'refusals' => sub {
    my $csv = "section,row,seat,tier\nH,A,1,s\n";
    my $map = $operator->make_map($csv);
    is_problem import_csv($map, $csv, undef), 428, 'precondition_required', 'without If-Match';
    is_problem import_csv($map, $csv, '"v1'), 400, 'malformed', 'a broken one';
    my $stale = import_csv($map, $csv, '"v1"');
    is is_problem($stale, 412, 'precondition_failed', 'a stale one')->{version}, 2, '... with the version now';
    is $stale->{headers}{etag}, '"v2"', '... and its tag';
    is_problem import_csv($map, $csv, '"v2"', 'Content-Type' => 'application/json'), 415, 'unsupported_media_type', 'another type';
    is import_csv($operator->make_map, $csv, '"v1"', 'Content-Type' => 'text/csv; charset=utf-8')->{status}, 200, 'with a charset';
    is_problem import_csv(999, $csv, '*'), 404, 'no_such_map', 'another map';
    is_problem import_csv($map, 'x' x (8 * 1024 * 1024 + 1), '*'), 413, 'too_large', 'more than 8 MB';

    my $problem = is_problem import_csv($map, "section,row,seat,tier\nH,A,1,s\nH,A,x,s\nH,,2,s\nH,A,1,s\n", '"v2"'),
        400, 'malformed_csv', 'a file with mistakes';
    is_deeply [map { "$_->{line} $_->{column}" } @{$problem->{errors}}], ['3 seat', '4 row'], '... which are told by line and column';
    like $problem->{errors}[0]{detail}, qr/"x" is not a whole number from 1 to 65535/, '... in words';
    is @{is_problem(import_csv($map, "section,row,seat,tier\n" . "H,A,x,s\n" x 30, '"v2"'), 400, 'malformed_csv', 'with many')->{errors}}, 20, '... twenty of them';
    my $whole = is_problem import_csv($map, '', '"v2"'), 400, 'malformed_csv', 'an empty one';
    is_deeply [sort keys %{$whole->{errors}[0]}], ['detail'], '... has no line';
    is_deeply [map { $_->[1] } @{seats($map)}], ['A-1'], 'the map is as it was';

    $operator->make_performance($map);
    is_problem import_csv($map, $csv, '"v2"'), 409, 'map_in_use', 'once a performance uses it';
    is_problem import_csv($map, $csv, '"v1"'), 409, 'map_in_use', '... whatever the version';
    is_deeply [map { $_->[1] } @{seats($map)}], ['A-1'], 'it stays';
};

subtest 'two at once' => sub {
    my $map = $operator->make_map;
    my @files = map { my $n = $_; "section,row,seat,tier\n" . join '', map { "H,A,$_,t$n\n" } 1 .. 300 } 1 .. 6;
    my $answers = http_many($worker->target, [map { $operator->request(POST => "maps/$map/seats", $_, 'If-Match' => '"v1"') } @files],
                            concurrency => 6);
    my %n;
    $n{"$_->{status} " . ($_->{json}{code} // '')}++ for @$answers;
    is_deeply \%n, {'200 ' => 1, '412 precondition_failed' => 5}, 'one is taken';
    is $db->value("SELECT COUNT(DISTINCT tier) FROM map_seat WHERE map_id = $map"), 1, 'as a whole';
    is $db->value("SELECT version FROM seat_map WHERE id = $map"), 2, 'once';
};

subtest 'a hundred thousand seats' => sub {
    my $small = $operator->make_performance($operator->make_map("section,row,seat,tier\n" . join '', map { "H,A,$_,s\n" } 1 .. 2000));
    my $csv = "section,row,seat,tier\n" . join '', map { my $s = $_; map { my $r = $_; map { "Block $s,$r,$_,gold\n" } 1 .. 50 } 1 .. 100 } 1 .. 20;
    my $map = $operator->make_map;

    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        my $answer = import_csv($map, $csv, '"v1"', 'Idempotency-Key' => '"big"');
        POSIX::_exit($answer->{status} == 200 && $answer->{json}{seats} == 100_000 ? 0 : 1);
    }
    my ($n, $during, $made, $slowest, $left, $repeat, $began) = (0, 0, 0, 0, undef, undef, time);
    while (!defined $left) {
        my $open = $db->value("SELECT version FROM seat_map WHERE id = $map") == 1;
        my $answer = http($worker->target, POST => "/v1/performances/$small/holds",
            [$worker->headers(number => ++$n), 'Idempotency-Key' => "\"n-$n\""], {seats => ["A-$n"]});
        $made++ if $answer->{status} == 201;
        my $seat = ask(GET => "performances/$small/seats/A-$n");
        if ($open && $db->value("SELECT version FROM seat_map WHERE id = $map") == 1) {
            $repeat = import_csv($map, $csv, '"v1"', 'Idempotency-Key' => '"big"') if ++$during == 3;
            for ($answer, $seat) { $slowest = $_->{seconds} if $_->{seconds} > $slowest }
        }
        $left = $? if waitpid($pid, POSIX::WNOHANG()) == $pid;
    }
    my $seconds = time - $began;
    is $left, 0, 'are imported';
    is $made, $n, 'and meanwhile every hold is made';
    cmp_ok $during, '>', 0, 'some of them while nothing of it is to be seen yet';
    like "$repeat->{status} " . ($repeat->{json}{code} // $repeat->{headers}{'idempotency-replayed'} // ''),
        qr/^(?:409 in_progress|200 \?1)$/, 'the same request meanwhile is told to come again, or the answer';
    cmp_ok $slowest, '<', $seconds, 'none of which waits for its end';
    note sprintf 'imported in %.1f s; %d holds meanwhile, the slowest request %.0f ms', $seconds, $during, $slowest * 1000;
    is $db->value("SELECT version FROM seat_map WHERE id = $map"), 2, 'and imports nothing';
    is $db->value("SELECT COUNT(*) FROM map_seat WHERE map_id = $map"), 100_000, 'all are there';
    is_deeply seats($map)->[99_999], [99_999, 'Block_20-100-50', 19, 100, 50, 'gold', 5000, 10000], 'down to the last';

    $began = time;
    my $number = $operator->make_performance($map);
    note sprintf 'made a performance of it in %.1f s', time - $began;
    is $db->value("SELECT COUNT(*) FROM seat WHERE performance_id = $number"), 100_000, 'and sold in a performance';
    is http($worker->target, POST => "/v1/performances/$number/holds",
        [$worker->headers(number => 9999), 'Idempotency-Key' => '"last"'], {seats => ['Block_20-100-50']})->{status}, 201, 'to the last one';
    $began = time;
    my $again = $operator->make_map($csv);
    is import_csv($again, $csv, '"v2"')->{status}, 200, 'and replaced';
    note sprintf 'imported and replaced in %.1f s', time - $began;
};

done_testing;
